"""Files of a repository that are damaged for a while, and what its host says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.fleet.fleet import Fleet
from tests.fleet.saved import FOLDER, KEEPER, figure

CHECK = 900.0
KEPT = "/root/kept-packs"
# all of it, where a day's check reads a seventh
CHECK_ALL = """
unit=repository-check.service; extra=/run/systemd/system/$unit.d
command=$(sed -n s/^ExecStart=//p /etc/systemd/system/$unit)
mkdir -p $extra
printf '[Service]\\nExecStart=\\nExecStart=%s --all\\n' "$command" > $extra/all.conf
systemctl daemon-reload
systemctl start $unit; code=$?
rm -r $extra; systemctl daemon-reload; systemctl reset-failed $unit
exit $code
"""
_NAMED = re.compile(r"\b[0-9a-f]{8,64}\b")
Harm = Callable[[str], str]


def flipped(path: str) -> str:
    """One byte in the middle is another."""
    program = (
        "import os, sys; f = open(sys.argv[1], 'r+b'); n = os.path.getsize(sys.argv[1]) // 2;"
        " f.seek(n); b = f.read(1)[0]; f.seek(n); f.write(bytes([b ^ 255]))"
    )
    return f'python3 -c "{program}" {path}'


def truncated(path: str) -> str:
    """The end is not there."""
    return f"truncate -s -20 {path}"


def removed(path: str) -> str:
    """Nothing is there."""
    return f"rm {path}"


def path_of(repository: str, pack: str) -> str:
    """Where restic's server keeps a pack."""
    return f"{FOLDER}/{repository}/data/{pack[:2]}/{pack}"


@contextmanager
def damaged(fleet: Fleet, repository: str, names: Sequence[str], harm: Harm) -> Iterator[None]:
    """These packs are harmed in the block, and as they were afterwards."""
    paths = [path_of(repository, name) for name in names]
    fleet.output(KEEPER, f"mkdir -p {KEPT} && cp -a {' '.join(paths)} {KEPT}/")
    try:
        for path in paths:
            fleet.output(KEEPER, harm(path))
        yield
    finally:
        back = [f"cp -a {KEPT}/{name} {path}" for name, path in zip(names, paths, strict=True)]
        fleet.output(KEEPER, " && ".join([*back, f"rm -r {KEPT}"]))


def reported(fleet: Fleet, repository: str) -> set[str]:
    """The first eight characters of what a check of everything names; none, if it finds nothing wrong."""
    begun = fleet.output(KEEPER, "date +%s")
    done = fleet.lab.run(KEEPER, CHECK_ALL, timeout=CHECK)
    bad = figure(fleet, KEEPER, "ka_repository_damaged", repository=repository)
    assert bad is not None, done
    assert bool(bad) == bool(done.returncode), done
    if not bad:
        return set()
    told = fleet.output(KEEPER, f"journalctl -o cat --no-pager -u repository-check --since=@{begun}")
    return {name[:8] for name in _NAMED.findall(told)}
