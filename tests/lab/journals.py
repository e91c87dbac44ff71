"""What hosts have to tell, read from outside: also of a host that is off, frozen, cut off or dead."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab import cgroups, gpt, machine, remote, storage
from tests.lab.errors import LabError
from tests.lab.shell import output
from tests.lab.state import Host, Place, Record

_PLACES = ("var/log/journal", "run/log/journal")


def journal(where: Place, record: Record, host: Host, words: Sequence[str] = ()) -> str:
    """The host's journal, with options for journalctl in ``words``.

    Raises:
        LabError: it has none yet, or it can't be read.
    """
    command = ["journalctl", "--no-pager", "--quiet", *words]
    if host.backend == "qemu" and machine.running(where, host) and remote.lets_in(where, record, host):
        found = remote.run_everywhere(where, record, [host], command, timeout=60)[host.name]
        return found.stdout + found.stderr
    with _roots(where, host) as roots:
        files = [
            str(file) for root in roots for place in _PLACES for file in (root / place).glob("*/*.journal")
        ]
        if not files:
            raise LabError(f"{host.name} has no journal yet: `logs --console {host.name}` shows its console.")
        return output(*command, *(f"--file={file}" for file in files), timeout=60)


def console(where: Place, host: Host) -> str:
    """All that the host has written to its console since it was made."""
    try:
        return (where.host(host.name) / "console.log").read_text(errors="replace")
    except FileNotFoundError:
        return ""


def collect(where: Place, record: Record, target: Path) -> list[Path]:
    """Write journal and console of every host into ``target``; what
    can't be had is said in the file in its place."""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for host in record.hosts.values():
        try:
            text = journal(where, record, host, ["--output=short-iso-precise"])
        except LabError as error:
            text = f"{error}\n"
        for name, content in (("journal", text), ("console", console(where, host))):
            file = target / f"{host.name}.{name}"
            file.write_text(content)
            written.append(file)
    return written


@contextmanager
def _roots(where: Place, host: Host) -> Iterator[list[Path]]:
    """Folders that hold the host's /var/log and, while it runs, /run."""
    if host.backend == "nspawn":
        leader = cgroups.leader(where.ident, host.name)
        yield [Path(f"/proc/{leader}/root")] if leader else [where.host(host.name) / "upper"]
        return
    disk = where.host(host.name) / "disk.qcow2"
    if not disk.exists():
        yield []
        return
    # A copy, because the dead host's file system wants its own journal replayed before it can be trusted.
    with tempfile.TemporaryDirectory(dir=where.host(host.name)) as scratch:
        raw, mounted = Path(scratch, "disk.raw"), Path(scratch, "root")
        mounted.mkdir()
        output("qemu-img", "convert", "-U", "-O", "raw", str(disk), str(raw), timeout=120)
        partition = gpt.root(raw)
        options = f"loop,offset={partition.offset},sizelimit={partition.size}"
        output("mount", "-t", "ext4", "-o", options, str(raw), str(mounted))
        try:
            yield [mounted]
        finally:
            storage.unmount_below(mounted)


def save_failure(where: Place, record: Record, folder: Path) -> Path:
    """Keep what the hosts of a lab that could not be brought up have told, in place of the last attempt's."""
    target = folder / f"{where.name}-up"
    shutil.rmtree(target, ignore_errors=True)
    collect(where, record, target)
    return target
