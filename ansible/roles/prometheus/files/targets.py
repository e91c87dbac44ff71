"""Wait until Prometheus has read every target that the inventory names; those that it has not are named.

Usage: targets.py PORT SECONDS. Environment: WANTED (JSON: list of job, group, host). Prints one line per job.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections import Counter
from typing import Any

Target = tuple[str, str, str]


def read(port: int) -> dict[Target, str]:
    """What hinders each target that Prometheus knows: nothing, or its last error.

    Raises OSError, http.client.HTTPException or ValueError when Prometheus does not answer.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/v1/targets?state=active")
        found: list[dict[str, Any]] = json.load(connection.getresponse())["data"]["activeTargets"]
    finally:
        connection.close()
    return {
        (one["labels"]["job"], one["labels"].get("group", ""), one["labels"].get("host", "")): _hindrance(one)
        for one in found
    }


def _hindrance(target: dict[str, Any]) -> str:
    if target["health"] == "up":
        return ""
    return str(target["lastError"]) or "it was not read yet"


def missing(port: int, wanted: list[Target]) -> dict[Target, str]:
    """Targets that are not up, each with its reason."""
    try:
        found = read(port)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return dict.fromkeys(wanted, f"Prometheus does not answer: {error}")
    return {one: found.get(one, "Prometheus does not know it") for one in wanted if found.get(one, "-")}


def main() -> None:
    """See above."""
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    wanted = [(one["job"], one["group"], one["host"]) for one in json.loads(os.environ["WANTED"])]
    until = time.monotonic() + seconds
    while down := missing(port, wanted):
        if time.monotonic() > until:
            lines = [f"{job} of {host}: {why}" for (job, _, host), why in sorted(down.items())]
            sys.exit(f"Not read after {seconds:.0f} s:\n" + "\n".join(lines))
        time.sleep(0.5)
    for job, count in sorted(Counter(job for job, _, _ in wanted).items()):
        sys.stdout.write(f"{job}: {count} up\n")


main()
