"""Write monitoring/metrics/JOB.txt: each metric that Prometheus has read of a job, with its labels.

Usage: ... | python tools/metric_names.py, with the answer of Prometheus to /api/v1/series on standard input;
docs/how-to/watch.md has the command. The assistant's own metrics are left out: they stand in app/metrics.py.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "monitoring" / "metrics"
# what each series has, whatever the metric
TARGET = {"__name__", "job", "instance", "host", "group"}
OWN = "assistant"


def lines(series: list[dict[str, str]]) -> dict[str, list[str]]:
    """By job, a line for each metric such as ``haproxy_server_status{proxy,server,state}``.

    Series of rules and alerts, which have no job or one by chance, are left out.
    """
    found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in series:
        name, job = one["__name__"], one.get("job", OWN)
        if job != OWN and ":" not in name and not name.startswith("ALERTS"):
            found[job][name] |= one.keys() - TARGET
    return {
        job: [f"{name}{{{','.join(sorted(labels))}}}" for name, labels in sorted(metrics.items())]
        for job, metrics in found.items()
    }


def main() -> None:
    """See above."""
    if {"-h", "--help"} & set(sys.argv):
        sys.stdout.write(__doc__ or "")
        return
    try:
        found = lines(json.load(sys.stdin)["data"])
    except (ValueError, KeyError, TypeError):
        sys.exit("That is not what Prometheus answers to /api/v1/series; see docs/how-to/watch.md.")
    FOLDER.mkdir(exist_ok=True)
    for job, metrics in sorted(found.items()):
        (FOLDER / f"{job}.txt").write_text("\n".join(metrics) + "\n", encoding="utf-8")
        sys.stdout.write(f"{job}: {len(metrics)} metrics\n")


if __name__ == "__main__":
    main()
