"""A lab that is up, and what one can do to its hosts. The command and the tests use the same object."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tests.lab import cgroups, inventory, journals, machine, network, remote, requirements, state, storage
from tests.lab.errors import LabError, Unusable
from tests.lab.state import Host, Place, Record

_GRACE = 60.0


@dataclass(frozen=True)
class Lab:
    """Handle on one lab; it holds nothing open, and several may exist for the same lab.

    Each verb raises Unusable for a host that isn't there and LabError for one that is in no state for it.
    """

    place: Place

    @classmethod
    def named(cls, name: str) -> Lab:
        """The lab called ``name``, which need not be up."""
        return cls(state.place(name))

    def record(self) -> Record:
        """What is known of the lab.

        Raises:
            Unusable: it isn't up.
        """
        requirements.need_root()
        record = state.load(self.place)
        if record is None:
            raise Unusable(
                f"There is no lab '{self.place.name}': `tools/lab --name {self.place.name} up` makes it."
            )
        return record

    def address(self, name: str) -> str:
        record = self.record()
        return record.address(_find(record, name))

    def start(self, *names: str) -> None:
        """Switch hosts on and return when one can log in. They come up connected to the network."""
        with self._changing("start", names) as (record, hosts):
            for host in hosts:
                if machine.running(self.place, host):
                    raise LabError(f"The host {host.name} is on already.")
            self._switch_on(record, hosts)
        self.wait(*names)

    def stop(self, *names: str, grace: float = _GRACE) -> list[str]:
        """Shut hosts down. Returns those that had to be switched off the hard way after ``grace`` seconds."""
        with self._changing("stop", names) as (_, hosts):
            self._need_on(hosts)
            for host in hosts:
                if machine.frozen(self.place, host):
                    raise LabError(
                        f"The host {host.name} is frozen and can't shut down: thaw it, or kill it."
                    )
            late = machine.ask_all_to_stop(self.place, hosts, grace)
            self._cut_power(hosts)
            return [host.name for host in late]

    def kill(self, *names: str) -> None:
        """Cut the power of hosts; returns when nothing of them runs any more."""
        with self._changing("kill", names) as (_, hosts):
            self._need_on(hosts)
            self._cut_power(hosts)

    def replace(self, *names: str) -> None:
        """Throw hosts away, in whatever state, and put new ones with their data disks in their place."""
        with self._changing("replace", names) as (record, hosts):
            for host in hosts:
                if machine.running(self.place, host) and not machine.frozen(self.place, host):
                    machine.ask_all_to_stop(self.place, [host], _GRACE)
            self._cut_power(hosts)
            for host in hosts:
                remote.forget_key(self.place, record, host)
                storage.remove_tree(self.place.host(host.name))
            self._switch_on(record, hosts)
        self.wait(*names)

    def cut(self, *names: str) -> None:
        """Pull the network cables of hosts. They run on, unreachable, until healed or started again."""
        with self._changing("cut", names) as (record, hosts):
            self._need_on(hosts)
            for host in hosts:
                network.unplug(machine.port(self.place, host))
            self._note(record, hosts, cut=True)

    def heal(self, *names: str) -> None:
        """Put the cables back."""
        with self._changing("heal", names) as (record, hosts):
            self._need_on(hosts)
            for host in hosts:
                if not machine.frozen(self.place, host):
                    network.plug(machine.port(self.place, host), self.place.ident)
            self._note(record, hosts, cut=False)

    def freeze(self, *names: str) -> None:
        """Let hosts stand still, like a paused machine: no process runs and no packet is answered.

        The kernel would still answer in a container's place, so its cable is out meanwhile.
        """
        with self._changing("freeze", names) as (_, hosts):
            self._need_on(hosts)
            for host in hosts:
                network.unplug(machine.port(self.place, host))
                cgroups.freeze(self.place.ident, host.name, still=True)

    def thaw(self, *names: str) -> None:
        """Let frozen hosts run on."""
        with self._changing("thaw", names) as (_, hosts):
            self._need_on(hosts)
            for host in hosts:
                cgroups.freeze(self.place.ident, host.name, still=False)
                if not host.cut:
                    network.plug(machine.port(self.place, host), self.place.ident)

    def wait(self, *names: str) -> None:
        """Return when one can log in to each of these hosts, or to all."""
        record = self.record()
        hosts = [_find(record, name) for name in names] or list(record.hosts.values())
        limits = {host.name: float(machine.BACKENDS[host.backend].BOOT_SECONDS) for host in hosts}
        remote.wait(self.place, record, limits, lambda name: machine.running(self.place, record.hosts[name]))

    def run(self, name: str, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A command on a host, by SSH, through its shell."""
        return self.run_on([name], *words, timeout=timeout)[name]

    def run_on(
        self, names: Sequence[str], *words: str, timeout: float = 60
    ) -> dict[str, subprocess.CompletedProcess[str]]:
        """The same command on several hosts at once."""
        record = self.record()
        hosts = [_find(record, name) for name in names]
        return remote.run_everywhere(self.place, record, hosts, list(words), timeout)

    def ssh_command(self, name: str, *words: str) -> list[str]:
        """The command that opens a session on a host, or runs ``words`` there."""
        record = self.record()
        return remote.command(self.place, record, _find(record, name), *words)

    def journal(self, name: str, *words: str) -> str:
        """A host's journal, also of one that is dead; ``words`` are options for journalctl."""
        record = self.record()
        return journals.journal(self.place, record, _find(record, name), words)

    def console(self, name: str) -> str:
        return journals.console(self.place, _find(self.record(), name))

    def collect(self, target: Path) -> list[Path]:
        """Write journals and consoles of all hosts into ``target``; returns the files."""
        return journals.collect(self.place, self.record(), target)

    def inventory(self) -> str:
        """The lab as an Ansible inventory."""
        return inventory.yaml(self.place, self.record())

    def status(self) -> dict[str, Any]:
        """The lab and each host: state (on, off, frozen), network (plugged, unplugged), memory, and so on."""
        record = self.record()
        with ThreadPoolExecutor(max_workers=len(record.hosts) or 1) as pool:
            hosts = list(pool.map(lambda host: self._status(record, host), record.hosts.values()))
        return {
            "name": self.place.name,
            "folder": str(self.place.folder),
            "complete": record.complete,
            "created": record.created,
            "seconds_up": round(time.time() - record.created, 1),
            "subnet": str(record.subnet),
            "image": str(record.image.path),
            "closure": record.image.closure,
            "hosts": hosts,
        }

    def _status(self, record: Record, host: Host) -> dict[str, Any]:
        on = machine.running(self.place, host)
        frozen = on and machine.frozen(self.place, host)
        plugged = network.plugged(machine.port(self.place, host))
        return {
            "name": host.name,
            "group": host.plan.group,
            "backend": host.backend,
            "address": record.address(host),
            "state": "frozen" if frozen else "on" if on else "off",
            "network": "plugged" if plugged else "unplugged",
            "cut": host.cut and on,
            "ssh": on and plugged and remote.lets_in(self.place, record, host),
            "pid": cgroups.leader(self.place.ident, host.name),
            "memory_bytes": cgroups.memory_used(self.place.ident, host.name) if on else None,
            "data_disk": str(self.place.disk(host.name)) if host.plan.disk else None,
        }

    @contextmanager
    def _changing(self, verb: str, names: Sequence[str]) -> Iterator[tuple[Record, list[Host]]]:
        self.record()
        with state.locked(self.place, verb):
            record = self.record()
            if not record.complete:
                raise LabError(
                    f"The lab '{self.place.name}' is not up yet, or was left half made: wait for `up`, or "
                    f"clear it away with `tools/lab --name {self.place.name} down`."
                )
            if not names:
                raise Unusable(f"Name at least one host: {', '.join(record.hosts)}.")
            yield record, [_find(record, name) for name in dict.fromkeys(names)]

    def _need_on(self, hosts: Sequence[Host]) -> None:
        for host in hosts:
            if not machine.running(self.place, host):
                raise LabError(
                    f"The host {host.name} is off: `tools/lab --name {self.place.name} start {host.name}`."
                )

    def _switch_on(self, record: Record, hosts: Sequence[Host]) -> None:
        self._note(record, hosts, cut=False)
        for host in hosts:
            machine.switch_on(self.place, record, host)

    def _cut_power(self, hosts: Sequence[Host]) -> None:
        with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
            list(pool.map(lambda host: machine.cut_power(self.place, host), hosts))

    def _note(self, record: Record, hosts: Sequence[Host], *, cut: bool) -> None:
        for host in hosts:
            record.hosts[host.name] = replace(host, cut=cut)
        state.save(self.place, record)


def _find(record: Record, name: str) -> Host:
    if name not in record.hosts:
        close = get_close_matches(name, record.hosts, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise Unusable(f"The lab has no host '{name}'.{hint} It has: {', '.join(record.hosts)}.")
    return record.hosts[name]
