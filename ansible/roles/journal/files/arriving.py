"""Wait until every host's logs of the last minutes are here; hosts whose are not are named.

Usage: arriving.py FOLDER SECONDS HOST,HOST... Every host has just logged what Ansible did on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

RECENT = 300.0  # seconds


def newest(folder: str, host: str) -> float:
    """When the host logged its newest line that is here, as :func:`time.time` tells it; 0 for none."""
    command = ["journalctl", f"--directory={folder}", "--quiet", "--lines=1", "--output=json"]
    done = subprocess.run([*command, f"_HOSTNAME={host}"], capture_output=True, text=True, check=False)
    line = done.stdout.strip()
    return float(json.loads(line)["__REALTIME_TIMESTAMP"]) / 1e6 if line else 0.0


def main() -> None:
    """See above."""
    folder, seconds, hosts = sys.argv[1], float(sys.argv[2]), sys.argv[3].split(",")
    since = time.time() - RECENT
    until = time.monotonic() + seconds
    while missing := [host for host in hosts if newest(folder, host) < since]:
        if time.monotonic() > until:
            sys.exit(
                f"Logs of {', '.join(missing)} do not arrive. "
                "See there: journalctl -u systemd-journal-upload; "
                "and here: journalctl -u journal-gate -u journal-collector"
            )
        time.sleep(0.5)
    sys.stdout.write(f"logs of {len(hosts)} hosts arrive\n")


main()
