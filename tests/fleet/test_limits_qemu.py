"""What a unit may take is bounded, and the kernel's settings are in force, on a host with its own kernel.

Containers on a machine without cgroup v2's controllers ignore the former and are refused the latter.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from tests.fleet.plays import Plays
from tests.lab import topology
from tests.lab.lab import Lab

yaml = pytest.importorskip("yaml")
HOST = "chroma1"
HOSTS = (HOST,)
QEMU = (HOST,)
SECONDS = 900  # without KVM, on a busy machine
UNIT = "chroma.service"
# a shell command as a part of the unit, though not in its sandbox
INSIDE = (
    f"echo $$ > /sys/fs/cgroup$(systemctl show --property ControlGroup --value {UNIT})/cgroup.procs; exec"
)
EAT = "food = [b'x' * 2**20 for _ in range(1000)]"
FORK = """
import os, time
children = []
try:
    for _ in range(1000):
        pid = os.fork()
        if not pid:
            time.sleep(60)
            os._exit(0)
        children.append(pid)
except BlockingIOError:
    print("refused after", len(children))
for pid in children:
    os.kill(pid, 9)
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 22), 10).recv(8)
    print("connected")
except (PermissionError, TimeoutError):  # the kernel lets no packet out, and says so or not
    print("refused")
"""


@pytest.fixture(scope="module")
def host(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The lab, after the role has put its unit on the host; the other hosts are known by name alone."""
    inventory = yaml.safe_load(lab.inventory())
    record = lab.record()
    for plan in topology.HOSTS:
        if plan.name != HOST:
            group = inventory["all"]["children"].setdefault(plan.group, {"hosts": {}})
            group["hosts"][plan.name] = {
                "ansible_host": str(record.subnet[plan.octet]),
                "disks_data_device": plan.disk_device if plan.disk else "",
            }
    folder = tmp_path_factory.mktemp("limits")
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    options = ["--limit", HOST, "--tags", "base,disks,chroma", "--skip-tags", "proxy"]
    Plays(folder / "inventory.yml", folder).run("site", *options, "-e", "chroma_memory=400M", timeout=800)
    return lab


@pytest.fixture(autouse=True)
def chroma_runs(host: Lab) -> Iterator[None]:
    """Before and after each test the service is there."""
    yield
    assert (
        told(host, f"for _ in $(seq 60); do systemctl is-active -q {UNIT} && exit; sleep 1; done; exit 1")
        == ""
    )


def told(lab: Lab, script: str) -> str:
    """What a shell script on the host prints; it must succeed."""
    done = lab.run(HOST, script, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def inside(lab: Lab, program: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a Python program in the unit's control group."""
    words = " ".join(map(shlex.quote, ("python3", "-c", program, *arguments)))
    done = lab.run(HOST, f"sh -c {shlex.quote(f'{INSIDE} {words}')}", timeout=200)
    return done.returncode, done.stdout.strip()


def test_who_eats_more_memory_than_its_share_is_killed_alone_and_comes_back(host: Lab) -> None:
    others = "systemctl show --property MainPID --value ssh systemd-journald"
    before, restarts = told(host, others), f"systemctl show --property NRestarts --value {UNIT}"
    assert told(host, restarts) == "0"
    code, _ = inside(host, EAT)
    assert code != 0
    assert (
        told(host, f"for _ in $(seq 60); do [ $({restarts}) = 1 ] && break; sleep 1; done; {restarts}") == "1"
    )
    assert told(host, others) == before
    assert "oom-kill" in told(host, f"journalctl --no-pager --unit {UNIT}")


def test_who_starts_ever_more_processes_is_refused(host: Lab) -> None:
    _, said = inside(host, FORK)
    assert said.startswith("refused after "), said
    assert int(said.split()[-1]) < 256


def test_the_index_cannot_talk_to_anybody_but_its_own_host(host: Lab) -> None:
    address = host.address(HOST)
    command = shlex.join(["python3", "-c", CONNECT, address])
    assert told(host, command) == "connected", "anybody else on this host can"
    assert inside(host, CONNECT, address) == (0, "refused")


def test_the_kernels_settings_are_in_force_now_and_after_a_boot(host: Lab) -> None:
    wanted = "sed -n 's/ = /=/p' /etc/sysctl.d/60-knowledge-assistant.conf"
    now = f'{wanted} | while IFS="=" read -r name value; do echo "$name=$(sysctl -n "$name")"; done'
    assert told(host, now) == told(host, wanted)
    assert "vm.dirty_bytes=" in told(host, wanted)
    host.stop(HOST)
    host.start(HOST)
    assert told(host, now) == told(host, wanted)
