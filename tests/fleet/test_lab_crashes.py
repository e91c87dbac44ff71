"""The tool is killed or misused, or the machine isn't as it should be: nothing is left, and it says why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fleet.leftovers import leftovers
from tests.lab import cgroups, image, state
from tests.lab.errors import LabError
from tests.lab.fixtures import NewLab, clear_abandoned, new_name, temporary_lab
from tests.lab.lab import Lab
from tests.lab.state import Place

TOOL = image.REPOSITORY / "tools" / "lab"
SECONDS = 120


def run(place: Place, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [str(TOOL), "--name", place.name, *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=100, env={**os.environ, **variables}
    )


@pytest.fixture
def place(machine_ready: None) -> Iterator[Place]:
    """Room for a lab that the test makes with the command; whatever is left of it is cleared away."""
    there = state.place(new_name())
    try:
        yield there
    finally:
        cleared = run(there, "down", "--now", "--wipe")
    assert cleared.returncode == 0, cleared.stderr


POINTS: dict[str, Callable[[Place], bool]] = {
    "its record is written": lambda place: place.record.exists(),
    "its bridge is there": lambda place: Path("/sys/class/net", place.ident).exists(),
    "its image is mounted": lambda place: place.lower.is_mount(),
    "its first host starts": lambda place: cgroups.populated(place.ident, "api1"),
    "its last host starts": lambda place: cgroups.populated(place.ident, "chroma1"),
    "it waits for its hosts": lambda place: any(place.known_hosts.glob("*")),
}


@pytest.mark.parametrize("point", POINTS)
def test_down_leaves_nothing_of_a_lab_whose_tool_was_killed_when(place: Place, point: str) -> None:
    words = [str(TOOL), "--name", place.name, "up", "--hosts", "api1,api2,chroma1"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as tool:
        deadline = time.monotonic() + 60
        while not POINTS[point](place):
            assert tool.poll() is None, "it ended before it got there"
            assert time.monotonic() < deadline
        tool.kill()
    assert place.record.exists()
    refused = run(place, "up", "--hosts", "api1")
    assert refused.returncode == 1
    assert "was left half made by an earlier run" in refused.stderr
    assert run(place, "down", "--now", "--wipe").returncode == 0
    assert leftovers(place) == []


def test_a_replacement_that_was_killed_in_the_middle_can_be_made_again(new_lab: NewLab) -> None:
    lab = new_lab("chroma1", "api1")
    folder = lab.place.host("chroma1") / "root"
    with subprocess.Popen([str(TOOL), "--name", lab.place.name, "replace", "chroma1"]) as tool:
        while folder.is_mount():
            assert tool.poll() is None
        tool.kill()
    again = run(lab.place, "replace", "chroma1")
    assert again.returncode == 0, again.stderr
    assert lab.run("chroma1", "hostname").stdout.strip() == "chroma1"
    assert lab.run("api1", "ping -c 1 -W 2 chroma1").returncode == 0


def test_down_finds_everything_even_when_the_record_is_lost(place: Place) -> None:
    assert run(place, "up", "--hosts", "chroma1").returncode == 0
    place.record.unlink()
    assert run(place, "down", "--wipe").returncode == 0
    assert leftovers(place) == []


def test_an_interrupted_up_clears_up_behind_itself(place: Place) -> None:
    words = [str(TOOL), "--name", place.name, "up", "--hosts", "api1,chroma1"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as tool:
        while not cgroups.populated(place.ident, "api1"):
            assert tool.poll() is None
        tool.send_signal(signal.SIGTERM)
        _, told = tool.communicate(timeout=30)
    assert tool.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert leftovers(place) == []


def test_down_keeps_data_disks_unless_it_is_told_to_wipe_them(place: Place) -> None:
    assert run(place, "up", "--hosts", "chroma1").returncode == 0
    run(place, "exec", "chroma1", "mkfs.ext4 -q -L chroma1-data /dev/disk/by-id/virtio-chroma1-data")
    assert "data disks stay" in run(place, "down").stderr
    assert leftovers(place) == []
    assert place.disk("chroma1").exists()
    assert run(place, "up", "--hosts", "chroma1").returncode == 0
    assert run(place, "exec", "chroma1", "ls /dev/disk/by-label").stdout.strip() == "chroma1-data"
    assert run(place, "down", "--wipe").returncode == 0
    assert not place.folder.exists()


def test_a_data_disk_with_foreign_content_is_left_as_it_is(place: Place) -> None:
    place.disks.mkdir(parents=True)
    content = os.urandom(1 << 20)
    place.disk("chroma1").write_bytes(content)
    subprocess.run(["mkswap", "-q", "-L", "foreign", place.disk("chroma1")], check=True, capture_output=True)
    content = place.disk("chroma1").read_bytes()
    up = run(place, "up", "--hosts", "chroma1")
    assert up.returncode == 0
    assert "chroma1: its data disk holds something else (LABEL foreign" in up.stderr
    assert run(place, "down").returncode == 0
    assert place.disk("chroma1").read_bytes() == content


def test_a_second_up_says_that_the_lab_is_there_and_harms_nothing(new_lab: NewLab) -> None:
    lab = new_lab("api1")
    second = run(lab.place, "up", "--hosts", "api1")
    assert second.returncode == 1
    assert "is already up (1 hosts)" in second.stderr
    assert lab.run("api1", "true").returncode == 0


def test_a_subnet_in_use_is_refused_by_name(new_lab: NewLab, place: Place) -> None:
    lab = new_lab("api1")
    refused = run(place, "up", "--hosts", "api1", "--subnet", str(lab.record().subnet))
    assert refused.returncode == 1
    assert f"The subnet {lab.record().subnet} is in use on this machine" in refused.stderr
    assert leftovers(place) == []


def test_an_interface_that_an_earlier_crash_has_left_is_no_hindrance(place: Place) -> None:
    subprocess.run(["ip", "link", "add", f"vb-{place.ident}-11", "type", "bridge"], check=True)
    up = run(place, "up", "--hosts", "api1")
    assert up.returncode == 0, up.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["up", "--hosts", "api7"], "There is no host or fleet 'api7'. Did you mean api"),
        (["up", "--hosts", "api1", "--image", "/nowhere.raw"], "There is no image at /nowhere.raw"),
        (["up", "--hosts", "api1", "--image", "/etc/hostname"], "is no disk with a GPT"),
        (["up", "--hosts", "api1", "--closure", "/nix/store/other"], "but /nix/store/other is wanted"),
        (["up", "--hosts", "api1", "--subnet", "10.0.0.0/8"], "private /24"),
        (["up", "--hosts", "api1", "--qemu", "api2"], "--qemu names hosts that this lab doesn't have: api2"),
        (["kill", "api1"], "There is no lab"),
        (["status"], "There is no lab"),
    ],
)
def test_a_wrong_request_is_one_clear_sentence_and_leaves_nothing(
    place: Place, words: list[str], told: str
) -> None:
    refused = run(place, *words)
    assert refused.returncode in {1, 2}
    assert told in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert leftovers(place) == []


def test_a_machine_without_nspawn_says_which_package_to_install(place: Place, tmp_path: Path) -> None:
    for command in (
        "ip",
        "nft",
        "ssh",
        "ssh-keygen",
        "mount",
        "losetup",
        "blkid",
        "journalctl",
        "sh",
        "dirname",
    ):
        found = subprocess.run(
            ["sh", "-c", f"command -v {command}"], capture_output=True, text=True, check=True
        )
        (tmp_path / command).symlink_to(found.stdout.strip())
    (tmp_path / "python3").symlink_to("/usr/bin/python3")
    refused = run(place, "up", "--hosts", "api1", PATH=str(tmp_path))
    assert refused.returncode == 1
    assert "Debian packages are missing: systemd-container" in refused.stderr


def test_a_full_disk_is_said_before_anything_is_made(place: Place, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", tmp_path], check=True)
    try:
        refused = run(place, "up", "--hosts", "api1", KA_LAB_DIR=str(tmp_path))
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert refused.returncode == 1
    assert "MiB are free" in refused.stderr


def test_a_host_that_never_answers_is_named_and_its_console_kept(place: Place, tmp_path: Path) -> None:
    broken = _image_without_init(tmp_path)
    up = run(place, "up", "--hosts", "api1", "--image", str(broken))
    assert up.returncode == 1
    # at once, or when it is knocked at: both name the host
    assert "api1 could not be started" in up.stderr or "api1 ended by itself" in up.stderr
    assert "console.log" in up.stderr
    assert leftovers(place) == []


def test_a_failed_test_leaves_no_lab(machine_ready: None) -> None:
    seen: list[Place] = []

    def failing() -> None:
        with temporary_lab(["api1"]) as lab:
            seen.append(lab.place)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert leftovers(seen[0]) == []
    with pytest.raises(LabError):
        Lab(seen[0]).status()


def test_a_lab_whose_test_run_was_killed_is_cleared_away_by_the_next_run() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    place = state.place(f"test-{ended.pid}-abcdef")
    assert run(place, "up", "--hosts", "chroma1").returncode == 0
    clear_abandoned()
    assert leftovers(place) == []
    assert not place.folder.exists()


def test_status_is_there_for_scripts(new_lab: NewLab) -> None:
    lab = new_lab("api1")
    found = json.loads(run(lab.place, "status", "--json").stdout)
    assert found["hosts"][0] | {"name": "api1", "state": "on", "ssh": True} == found["hosts"][0]


def _image_without_init(folder: Path) -> Path:
    """A disk with a GPT and an empty ext4 as its root."""
    disk = folder / "broken.raw"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    layout = "label: gpt\nstart=2048, size=65536, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n"
    subprocess.run(["sfdisk", "-q", disk], input=layout, text=True, check=True)
    options = ["-F", "-q", "-E", f"offset={2048 * 512}"]
    subprocess.run(["mkfs.ext4", *options, disk, "32M"], check=True, capture_output=True)
    return disk
