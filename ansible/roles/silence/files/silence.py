"""Have Alertmanager keep silent about these alerts, and no others for this work, for so many minutes.

Usage: silence.py PORT WORK MINUTES GRACE. Environment: WANTED (JSON: a list of silences, each with the values
that labels may have, by their names). What is silent already is so for longer. What is wanted no more ends
after GRACE seconds, since alerts end some time after what they are about.
Its interface: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

Labels = dict[str, list[str]]
Silence = dict[str, Any]
SILENCES = "/api/v2/silences"
FIELDS = ("id", "matchers", "startsAt", "createdBy", "comment")


class Alertmanager:
    """On a port of loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers. Raises OSError or ValueError when it does not, or refuses."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            text = json.dumps(body) if body is not None else None
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise ValueError(f"it answers {answer.status} to {method} {path}: {told.strip()}")
        return json.loads(told) if told else None

    def silences(self, author: str) -> list[Silence]:
        """Those of an author that are not over."""
        found: list[Silence] = self.ask("GET", SILENCES)
        return [one for one in found if one["createdBy"] == author and one["status"]["state"] != "expired"]

    def keep(self, silence: Silence, end: datetime) -> None:
        """Have it, a new one or one that is there, until then."""
        known = {name: silence[name] for name in FIELDS if name in silence}
        self.ask("POST", SILENCES, known | {"endsAt": end.isoformat()})


def matchers(labels: Labels) -> list[dict[str, Any]]:
    """The same as Alertmanager writes it."""
    return [
        {"name": name, "value": "|".join(map(re.escape, values)), "isRegex": True, "isEqual": True}
        for name, values in labels.items()
    ]


def have(server: Alertmanager, work: str, wanted: list[Labels], minutes: float, grace: float) -> None:
    """Silences for this work: all of these, and others only until their grace is over."""
    now = datetime.now(UTC)
    author = f"playbook {work}"
    new: Silence = {"startsAt": now.isoformat(), "createdBy": author, "comment": "planned work"}
    there = server.silences(author)
    for labels in wanted:
        same = [one for one in there if one["matchers"] == matchers(labels)]
        there = [one for one in there if one not in same]
        silence = same[0] if same else {**new, "matchers": matchers(labels)}
        server.keep(silence, now + timedelta(minutes=minutes))
    end = now + timedelta(seconds=grace)
    for silence in there:
        if datetime.fromisoformat(silence["endsAt"]) > end:
            server.keep(silence, end)


def main() -> None:
    """See above."""
    port, work, minutes, grace = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    try:
        have(Alertmanager(port), work, json.loads(os.environ["WANTED"]), minutes, grace)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        sys.exit(f"Alertmanager cannot be asked: {error}")


main()
