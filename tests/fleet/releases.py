"""Releases for tests of deploy.yml, and what the hosts of a fleet run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fleet.fleet import Fleet
from tests.fleet.plays import ROOT
from tests.fleet.used import all_answered
from tests.lab.errors import LabError

PROFILE = "/nix/var/nix/profiles/ka"
DRAINED = "/etc/knowledge-assistant/drained"
MEMORY = "/var/lib/ka-fleet"
_FOLDER = ROOT / "build" / "fleet" / "releases"


class Releases:
    """Store paths by name: ``base`` is the image's, the others are made by releases.sh."""

    def __init__(self) -> None:
        done = subprocess.run([ROOT / "tests/fleet/releases.sh", _FOLDER], capture_output=True, check=False)
        if done.returncode:
            raise LabError(f"The releases for the tests were not made: {done.stderr.decode()[-500:]}")

    def path(self, name: str) -> str:
        """The store path."""
        folder = ROOT / "build" / "release" if name == "base" else _FOLDER
        return (folder / ("path" if name == "base" else name)).read_text().strip()

    def options(self, name: str) -> list[str]:
        """What deploy.yml has to be told."""
        caches = {"base": ROOT / "build" / "release" / "cache", "strange": _FOLDER / "stranger"}
        cache = caches.get(name, _FOLDER / "cache")
        return ["-e", f"release_path={self.path(name)}", "-e", f"release_cache={cache}"]

    def everywhere(self, fleet: Fleet, name: str) -> None:
        """Put a release on every host, if it isn't there; nothing is marked as bad, nobody is drained."""
        forget(fleet)
        if running(fleet) != {self.path(name)}:
            fleet.play("deploy", *self.options(name), "-e", "rollout_watch=0")

    def pair(self, fleet: Fleet) -> tuple[str, str]:
        """Names of the release that is on every host, and of another good one."""
        forget(fleet)
        found = running(fleet)
        for old, new in (("base", "good"), ("good", "better"), ("better", "good")):
            if found == {self.path(old)}:
                return old, new
        self.everywhere(fleet, "base")
        return "base", "good"


def running(fleet: Fleet) -> set[str]:
    """Every release that some host has as its current one, or that some API answers as."""
    found = set(fleet.everywhere(f"readlink -f {PROFILE}").values())
    return found | {answers_as(fleet, name) for name in fleet.hosts("api")}


def answers_as(fleet: Fleet, host: str) -> str:
    """What an API host says on /version."""
    ca = "/etc/knowledge-assistant/tls/knowledge-assistant/ca.crt"
    ask = f"curl -sS --max-time 10 --cacert {ca} https://{host}:8443/version"
    return fleet.output(
        host, f"{ask} | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"closure\"])'"
    )


def forget(fleet: Fleet) -> None:
    """Nothing is marked as bad, nobody is drained."""
    fleet.lab.run_on(fleet.names, f"rm -rf {MEMORY}/bad {DRAINED}")


def refused(fleet: Fleet, verb: str, *options: str) -> str:
    """The last line of a playbook that has to fail."""
    try:
        played = fleet.play(verb, *options)
    except LabError as error:
        return str(error).strip().splitlines()[-1]
    raise LabError(f"{verb}.yml was expected to fail:\n{played.output[-2000:]}")


@contextmanager
def begun(fleet: Fleet, verb: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A playbook that runs during the block, and is killed with all its processes at the end."""
    command = [f"{ROOT}/.venv-ops/bin/ansible-playbook", f"playbooks/{verb}.yml"]
    log = (fleet.home / f"{verb}-begun.log").open("wb")
    process = subprocess.Popen(
        [*command, f"-i{fleet.lab.place.folder / 'inventory.yml'}", *options],
        cwd=ROOT / "ansible",
        env=fleet.plays._environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)
        log.close()


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a playbook and what it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_file(fleet: Fleet, host: str, path: str, seconds: float) -> None:
    """Return when a file is there on a host; raises LabError if it is not in time."""
    deadline = time.monotonic() + seconds
    while fleet.lab.run(host, f"test -e {path}").returncode:
        if time.monotonic() > deadline:
            raise LabError(f"{path} is not on {host} after {seconds:.0f} s")
        time.sleep(0.2)


def log_of(fleet: Fleet, verb: str) -> str:
    """What a playbook of :func:`begun` has printed."""
    return (fleet.home / f"{verb}-begun.log").read_text()


def not_taken(fleet: Fleet, releases: Releases, name: str) -> str:
    """Deploy a release that is bad, and nobody notices; returns the reason why it was not taken."""
    before = running(fleet)
    with all_answered(fleet, 50):
        reason = refused(fleet, "deploy", *releases.options(name))
    assert running(fleet) == before
    return reason
