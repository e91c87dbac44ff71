"""Prints a part of a lock: `select.py LOCK "NAMES TO KEEP" "NAMES TO LEAVE OUT"`; none to keep means all."""

import re
import sys
from pathlib import Path


def entries(text: str) -> list[tuple[str, str]]:
    """The lock's entries as (package, text): each begins at the margin, its hashes are indented."""
    parts = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    return [
        (re.split(r"[=\[ ]", part, maxsplit=1)[0], part) for part in parts if re.match(r"[A-Za-z0-9]", part)
    ]


def main(lock: str, keep: str, leave: str) -> None:
    """Print what is wanted; end with a message when a name is not in the lock."""
    found = entries(Path(lock).read_text(encoding="utf-8"))
    wanted, unwanted = set(keep.split()), set(leave.split())
    if unknown := (wanted | unwanted) - {name for name, _ in found}:
        sys.exit(f"nix/left-out.nix names packages that the lock does not hold: {', '.join(sorted(unknown))}")
    for name, text in found:
        if (not wanted or name in wanted) and name not in unwanted:
            sys.stdout.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
