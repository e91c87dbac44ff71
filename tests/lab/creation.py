"""Bringing a whole lab up, and clearing it away whatever state it is in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Network

from tests.lab import (
    addresses,
    cgroups,
    identity,
    inventory,
    journals,
    machine,
    network,
    nspawn,
    remote,
    requirements,
    state,
    storage,
)
from tests.lab.errors import LabError
from tests.lab.image import REPOSITORY, Image
from tests.lab.state import Host, Place, Record
from tests.lab.topology import HostPlan

JOURNALS = REPOSITORY / "build" / "lab-journals"
_GRACE = 8.0
Say = Callable[[str], None]


def up(
    where: Place,
    plans: Sequence[HostPlan],
    image: Image,
    *,
    qemu: Sequence[str] = (),
    subnet: IPv4Network | None = None,
    say: Say = lambda text: None,
) -> Record:
    """Bring a fleet up; returns when one can log in to every host. If that fails, nothing is left of it.

    Args:
        where: place of the lab.
        plans: its hosts.
        image: what they boot.
        qemu: names of those that run in QEMU; the others are containers.
        subnet: a /24; None picks a free one.
        say: is told how far it is, one line at a time.

    Raises:
        LabError: the lab is up already, something is missing or in use, or a host didn't come up.
    """
    hosts = {plan.name: Host(plan, "qemu" if plan.name in qemu else "nspawn") for plan in plans}
    requirements.check({host.backend for host in hosts.values()})
    storage.check_room(where.folder, len(hosts))
    with state.locked(where, "up", patience=5):
        _refuse_second(where)
        record: Record | None = None
        try:
            record = _make(where, hosts, image, subnet, say)
            _wait(where, record, say)
            record.complete = True
            state.save(where, record)
        except BaseException as error:
            told = _keep_told(where, record, say) if isinstance(error, LabError) else ""
            sweep(where)
            state.forget_lock(where)
            if told and isinstance(error, LabError):
                raise LabError(f"{error} {told}", code=error.code) from error
            raise
    return record


def down(where: Place, *, wipe: bool = False, grace: float = _GRACE, say: Say = lambda text: None) -> bool:
    """Clear a lab away: hosts, network, mounts, files. Works on one that is whole, half made, or damaged.

    Args:
        where: place of the lab.
        wipe: remove the data disks too, for good.
        grace: seconds that hosts get to go off by themselves.
        say: is told how far it is.

    Returns:
        Whether there was anything to clear away.

    Raises:
        LabError: something is in use by somebody else; the rest is gone.
    """
    requirements.need_root()
    with state.locked(where, "down"):
        found = where.folder.exists()
        _shut_down(where, grace, say)
        sweep(where)
        if wipe:
            shutil.rmtree(where.disks, ignore_errors=True)
        elif where.disks.exists() and any(where.disks.iterdir()):
            say(f"data disks stay in {where.disks} (remove them with `down --wipe`)")
        _remove_empty(where)
        state.forget_lock(where)
    return found


def _shut_down(where: Place, grace: float, say: Say) -> None:
    """Let the hosts go off by themselves. Whatever is wrong with that, they go off anyway afterwards."""
    with suppress(LabError, OSError):
        record = state.load(where)
        on = [host for host in record.hosts.values() if machine.running(where, host)] if record else []
        if on and grace:
            say(f"stopping {len(on)} hosts")
            late = machine.ask_all_to_stop(where, on, grace)
            if late:
                say(f"switched off the hard way: {', '.join(host.name for host in late)}")


def sweep(where: Place) -> None:
    """End and remove everything with this lab's mark, found by looking at the machine; data disks stay.

    Each step is tried even if one before it failed.

    Raises:
        LabError: what could not be removed first.
    """
    failures: list[LabError] = []
    steps: tuple[Callable[[], None], ...] = (
        lambda: cgroups.kill(where.ident),
        lambda: cgroups.remove(where.ident),
        lambda: storage.unmount_below(where.folder),
        lambda: storage.detach_below(where.folder),
        lambda: network.remove_all(where.ident),
        lambda: nspawn.forget(f"{where.ident}-*"),
        lambda: _remove_files(where),
    )
    for step in steps:
        try:
            step()
        except LabError as error:
            failures.append(error)
        except OSError as error:
            failures.append(LabError(f"{error.strerror}: {error.filename}. `tools/lab down` again may help."))
    if failures:
        raise failures[0]


def _refuse_second(where: Place) -> None:
    try:
        old = state.load(where)
    except LabError as error:
        raise LabError(f"An earlier lab '{where.name}' is in the way. {error}") from error
    if old is not None:
        how = "is already up" if old.complete else "was left half made by an earlier run"
        raise LabError(
            f"The lab '{where.name}' {how} ({len(old.hosts)} hosts): "
            f"`tools/lab --name {where.name} down` clears it away, another --name makes a second one."
        )


def _make(where: Place, hosts: dict[str, Host], image: Image, subnet: IPv4Network | None, say: Say) -> Record:
    """The lab's network and its hosts, each started and not waited for."""
    sweep(where)
    where.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with state.machine_locked("up"):
        record = Record(addresses.pick(addresses.in_use(), subnet), image, hosts)
        state.save(where, record)
        network.make_bridge(where.ident, record.subnet)
    say(f"{record.subnet}, image {image.path.name}, closure {image.closure or 'unknown'}")
    identity.make_key(where)
    where.known_hosts.mkdir()
    storage.mount_image(image, where.lower)
    (where.folder / "inventory.yml").write_text(inventory.yaml(where, record))
    for host in hosts.values():
        kept = storage.contents(where.disk(host.name)) if where.disk(host.name).exists() else {}
        if kept and kept.get("LABEL") != host.plan.disk_label:
            found = ", ".join(f"{key} {value}" for key, value in kept.items())
            say(f"{host.name}: its data disk holds something else ({found}) and is left as it is")
        machine.switch_on(where, record, host)
    return record


def _wait(where: Place, record: Record, say: Say) -> None:
    limits = {host.name: float(machine.BACKENDS[host.backend].BOOT_SECONDS) for host in record.hosts.values()}
    remote.wait(
        where,
        record,
        limits,
        lambda name: machine.running(where, record.hosts[name]),
        lambda name: say(f"{name} is up"),
    )


def _keep_told(where: Place, record: Record | None, say: Say) -> str:
    """Save journals of a lab that is about to be cleared away; returns where they are, as a sentence."""
    if record is None:
        return ""
    with suppress(LabError, OSError):
        say("collecting journals")
        return f"What the hosts have told is in {journals.save_failure(where, record, JOURNALS)}."
    return ""


def _remove_files(where: Place) -> None:
    for name in ("hosts", "known_hosts", "image"):
        storage.remove_tree(where.folder / name)
    keys = (where.key, where.key.with_suffix(".pub"))
    # the record goes last: until then another `down` still knows the hosts by name
    for path in (*keys, where.folder / "inventory.yml", where.record.with_suffix(".new"), where.record):
        path.unlink(missing_ok=True)
    _remove_empty(where)


def _remove_empty(where: Place) -> None:
    for folder in (where.disks, where.folder):
        with suppress(OSError):
            folder.rmdir()
