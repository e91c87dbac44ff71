"""Have Alertmanager keep silent about these alerts, and no others for this work, for so many minutes.

Usage: silence.py PORT WORK MINUTES. Environment: WANTED (JSON: a list of silences, each with the values that
labels may have, by their names; none lifts those that there are). What is silenced already is so for longer.
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
SILENCES = "/api/v2/silences"


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

    def silences(self, author: str) -> dict[str, list[dict[str, Any]]]:
        """Matchers of each silence of an author that is not over, by its id."""
        return {
            one["id"]: one["matchers"]
            for one in self.ask("GET", SILENCES)
            if one["createdBy"] == author and one["status"]["state"] != "expired"
        }


def matchers(labels: Labels) -> list[dict[str, Any]]:
    """The same as Alertmanager writes it."""
    return [
        {"name": name, "value": "|".join(map(re.escape, values)), "isRegex": True, "isEqual": True}
        for name, values in labels.items()
    ]


def have(server: Alertmanager, work: str, wanted: list[Labels], minutes: float) -> None:
    """Silences for this work, all of these and no others."""
    author = f"playbook {work}"
    there = server.silences(author)
    now = datetime.now(UTC)
    for labels in wanted:
        known = next((each for each, found in there.items() if found == matchers(labels)), None)
        there.pop(known or "", None)
        silence = {
            "matchers": matchers(labels),
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=minutes)).isoformat(),
            "createdBy": author,
            "comment": "planned work; its playbook lifts this at the end",
        }
        server.ask("POST", SILENCES, silence | ({"id": known} if known else {}))
    for each in there:
        server.ask("DELETE", f"/api/v2/silence/{each}")


def main() -> None:
    """See above."""
    port, work, minutes = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    try:
        have(Alertmanager(port), work, json.loads(os.environ["WANTED"]), minutes)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        sys.exit(f"Alertmanager cannot be asked: {error}")


main()
