"""Write monitoring/consoles/libraries/alerts.lib: sentences of alerts, for the pages that Prometheus serves.

Usage: python tools/console_alerts.py; a test compares. Prometheus tells its pages the names and labels of
alerts that fire, but not their sentences: each alert's own query is asked again, its sentence filled in.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

MONITORING = Path(__file__).parent.parent / "monitoring"
OUTPUT = MONITORING / "consoles" / "libraries" / "alerts.lib"
SEVERITIES = ["page", "warning"]
HEAD = """{{/* Made from monitoring/rules by python tools/console_alerts.py. */}}

{{/* dot: which hosts' alerts, a regular expression */}}
{{ define "alerts" }}
"""
FIRING = 'ALERTS{alertname="NAME", alertstate="firing", host=~%q}'
SINCE = 'floor(max(time() - ALERTS_FOR_STATE{alertname="NAME"}))'
ALERT = f"""{{{{ if query (printf `{FIRING}` .) }}}}<li class="SEVERITY">
{{{{ range query (printf `(QUERY) and ignoring (alertname, alertstate, severity) {FIRING}` .) }}}}\
{{{{ $labels := .Labels }}}}{{{{ $value := .Value }}}}<p>SUMMARY</p>{{{{ end }}}}
{{{{ template "about" (args "NAME" "SEVERITY" `{SINCE}`) }}}}</li>{{{{ end }}}}
"""


def text() -> str:
    """The library: pages first, each alert as its rule has it."""
    rules = [
        rule
        for path in sorted((MONITORING / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if rule.get("labels", {}).get("severity") in SEVERITIES
    ]
    rules.sort(key=lambda rule: SEVERITIES.index(rule["labels"]["severity"]))
    return HEAD + "".join(map(_alert, rules)) + "{{ end }}\n"


def _alert(rule: dict[str, Any]) -> str:
    filled = {
        "NAME": rule["alert"],
        "SEVERITY": rule["labels"]["severity"],
        # text for printf
        "QUERY": " ".join(rule["expr"].split()).replace("%", "%%"),
        "SUMMARY": rule["annotations"]["summary"],
    }
    alert = ALERT
    for place, value in filled.items():
        alert = alert.replace(place, value)
    return alert


def main() -> None:
    """See above."""
    if {"-h", "--help"} & set(sys.argv):
        sys.stdout.write(__doc__ or "")
        return
    OUTPUT.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
