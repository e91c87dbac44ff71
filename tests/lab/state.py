"""What is known of a lab, on disk before anything of it exists, and the lock that keeps two commands apart.

Names of everything that a lab makes follow from its folder alone (see `Place.ident`), so `lab down` finds it
all even when the record is lost.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from tests.lab import shell
from tests.lab.errors import LabError, Unusable
from tests.lab.image import REPOSITORY, Image
from tests.lab.topology import HostPlan

LOCKS = Path("/run/ka-lab")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


@dataclass(frozen=True)
class Place:
    """Where a lab keeps its files, and what its things are called."""

    name: str
    folder: Path

    @property
    def ident(self) -> str:
        """Six characters that are in the name of each interface, cgroup and table of this lab."""
        return "ka" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:4]

    @property
    def record(self) -> Path:
        return self.folder / "lab.json"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        """Folder with one file per address: `UserKnownHostsFile=FOLDER/%h`."""
        return self.folder / "known_hosts"

    @property
    def lower(self) -> Path:
        return self.folder / "image"

    @property
    def disks(self) -> Path:
        return self.folder / "disks"

    def host(self, name: str) -> Path:
        return self.folder / "hosts" / name

    def disk(self, name: str) -> Path:
        return self.disks / f"{name}.raw"


@dataclass(frozen=True)
class Host:
    """One host of this lab. ``cut``: its network cable is out."""

    plan: HostPlan
    backend: str
    cut: bool = False

    @property
    def name(self) -> str:
        return self.plan.name


@dataclass
class Record:
    """All facts about a lab that can't be had from looking at the machine."""

    subnet: IPv4Network
    image: Image
    hosts: dict[str, Host]
    complete: bool = False
    created: float = field(default_factory=time.time)

    def address(self, host: Host) -> str:
        return str(self.subnet[host.plan.octet])

    @property
    def gateway(self) -> str:
        """This machine's own address in the lab's network; it forwards nothing."""
        return str(self.subnet[1])


def labs_folder() -> Path:
    """Folder of all labs: KA_LAB_DIR, else build/lab of this repository."""
    return Path(os.environ.get("KA_LAB_DIR") or REPOSITORY / "build" / "lab").resolve()


def place(name: str) -> Place:
    """The place of the lab called ``name``; nothing is made.

    Raises:
        Unusable: the name, or the folder of the labs, has characters that don't go into mounts and options.
    """
    if not _NAME.fullmatch(name):
        raise Unusable(f"'{name}' can't be a lab's name: use lower-case letters, digits and hyphens.")
    folder = labs_folder() / name
    if not re.fullmatch(r"[A-Za-z0-9/._+-]+", str(folder)):
        raise Unusable(
            f"The lab can't be in '{folder}': set KA_LAB_DIR to a path without spaces, commas or colons."
        )
    return Place(name, folder)


def save(where: Place, record: Record) -> None:
    """Write the record so that a reader sees the old or the new one, whole."""
    data = {
        "subnet": str(record.subnet),
        "image": {**asdict(record.image), "path": str(record.image.path)},
        "hosts": [asdict(host) for host in record.hosts.values()],
        "complete": record.complete,
        "created": record.created,
    }
    new = where.record.with_suffix(".new")
    with new.open("w") as file:
        json.dump(data, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    new.replace(where.record)


def load(where: Place) -> Record | None:
    """The record of this lab, or None if there is none.

    Raises:
        LabError: it is there and makes no sense.
    """
    try:
        data = json.loads(where.record.read_text())
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise LabError("The lab belongs to root: run this with sudo.") from error
    except (OSError, ValueError) as error:
        raise LabError(_damaged(where)) from error
    try:
        image = Image(**{**data["image"], "path": Path(data["image"]["path"])})
        hosts = [Host(HostPlan(**host["plan"]), host["backend"], host["cut"]) for host in data["hosts"]]
        return Record(
            IPv4Network(data["subnet"]),
            image,
            {host.name: host for host in hosts},
            data["complete"],
            data["created"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LabError(_damaged(where)) from error


def _damaged(where: Place) -> str:
    return (
        f"The record {where.record} can't be read: `tools/lab --name {where.name} down` clears the lab away."
    )


@contextmanager
def locked(where: Place, verb: str, patience: float = 60) -> Iterator[None]:
    """Hold the lab's lock. Commands that are run meanwhile hold it too, until they end.

    Raises:
        LabError: somebody else kept it for ``patience`` seconds.
    """
    path = LOCKS / f"{where.ident}.lock"
    with _lock(path, verb, patience, f"lab '{where.name}'") as descriptor, shell.holding(descriptor):
        yield


@contextmanager
def machine_locked(verb: str) -> Iterator[None]:
    """Hold the lock that all labs of this machine share: for choosing a subnet."""
    with _lock(LOCKS / "machine.lock", verb, 60, "the choice of a subnet"):
        yield


def forget_lock(where: Place) -> None:
    """Remove the lock's file; to be called by who holds it."""
    (LOCKS / f"{where.ident}.lock").unlink(missing_ok=True)


@contextmanager
def _lock(path: Path, verb: str, patience: float, what: str) -> Iterator[int]:
    descriptor = _acquire(path, time.monotonic() + patience, what)
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{verb}, process {os.getpid()}".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)  # not LOCK_UN: that would unlock it for our children too


def _acquire(path: Path, deadline: float, what: str) -> int:
    path.parent.mkdir(exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "unknown"
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise LabError(
                    f"Another command ({holder}) is at work on {what}: wait for it, then try again."
                ) from None
            time.sleep(0.05)
            continue
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)  # its owner removed the file when it was done
