"""Where on a fleet's hosts a text can be read that should be nowhere."""

from __future__ import annotations

import base64

from tests.fleet.fleet import Fleet

SEARCHED = 600
# Prints the place of every find. What is looked for comes in base64, so that the search does not find itself.
SEARCH = r"""
echo {wanted} | base64 -d > /run/search-pattern && cd /
trap 'rm -f /run/search-pattern' EXIT
find() {{ grep -qaFf /run/search-pattern "$@" 2> /dev/null; }}
journalctl --no-pager -o export -a | find && echo journal
for process in /proc/[0-9]*; do
  find "$process/cmdline" && echo command line
  find "$process/environ" && echo "environment of $(cat "$process/comm")"
done
places="/etc /root /home /tmp /var /usr/local /opt /srv /nix /run/systemd /run/user"
grep -rlaFf /run/search-pattern $places 2> /dev/null
true
"""
# rclone takes keys no other way; nobody but root and itself can read it
KNOWN = {"objects1": ["environment of rclone"]}


def finds(fleet: Fleet, values: list[str]) -> dict[str, list[str]]:
    """By host, where any of the values lies."""
    wanted = base64.b64encode("\n".join(values).encode()).decode()
    done = fleet.lab.run_on(fleet.names, SEARCH.format(wanted=wanted), timeout=SEARCHED)
    found = {name: sorted(set(one.stdout.splitlines())) for name, one in done.items()}
    return {name: places for name, places in found.items() if places}
