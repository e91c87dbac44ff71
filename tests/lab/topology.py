"""Which hosts there are: names, groups, last octets, memory and data disks. Data, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tests.lab.errors import Unusable


@dataclass(frozen=True)
class HostPlan:
    """One host. ``octet``: last of its address. ``memory``: MiB. ``disk``: GiB of data disk, 0 for none."""

    name: str
    group: str
    octet: int
    memory: int
    disk: int = 0

    @property
    def disk_label(self) -> str:
        """Name of the data disk: its virtio serial (at most 20 bytes) and ext4 label (at most 16)."""
        return f"{self.name}-data"

    @property
    def disk_device(self) -> str:
        """Path of the data disk inside the host, the same in both backends, blank or not."""
        return f"/dev/disk/by-id/virtio-{self.disk_label}"


HOSTS = (
    HostPlan("balancer1", "balancer", 10, 512),
    HostPlan("api1", "api", 11, 2048),
    HostPlan("api2", "api", 12, 2048),
    HostPlan("chroma1", "chroma", 20, 2048, disk=8),
    HostPlan("postgres1", "postgres", 31, 1024, disk=8),
    HostPlan("postgres2", "postgres", 32, 1024, disk=8),
    HostPlan("postgres3", "postgres", 33, 1024, disk=8),
    HostPlan("objects1", "objects", 40, 512, disk=8),
    HostPlan("monitoring1", "monitoring", 50, 1024, disk=8),
    HostPlan("backup1", "backup", 60, 512, disk=8),
)
BY_NAME = {host.name: host for host in HOSTS}
FLEETS = {
    "full": tuple(BY_NAME),
    "serving": tuple(name for name in BY_NAME if name not in {"monitoring1", "backup1"}),
    "database": ("postgres1", "postgres2", "postgres3"),
    "small": ("balancer1", "api1", "chroma1", "postgres1", "objects1"),
    "one": ("api1",),
}
KNOWN = f"Hosts: {', '.join(BY_NAME)}. Fleets: {', '.join(FLEETS)}."


def choose(names: Sequence[str]) -> list[HostPlan]:
    """The hosts meant by ``names``, which may hold fleets too, in the order of the table and each once.

    Raises:
        Unusable: a name that is neither a host nor a fleet, or no name at all.
    """
    found = choose_some(names)
    if not found:
        raise Unusable(f"No host was asked for. {KNOWN}")
    return found


def choose_some(names: Sequence[str]) -> list[HostPlan]:
    """The same, and none for no names."""
    wanted: set[str] = set()
    for name in names:
        if name not in BY_NAME and name not in FLEETS:
            close = get_close_matches(name, [*BY_NAME, *FLEETS], n=1)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise Unusable(f"There is no host or fleet '{name}'. {hint}{KNOWN}")
        wanted.update(FLEETS.get(name, (name,)))
    return [host for host in HOSTS if host.name in wanted]
