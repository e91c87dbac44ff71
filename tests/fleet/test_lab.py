"""What the lab promises about its hosts, on real ones."""

from __future__ import annotations

import json
import subprocess
import time
from itertools import pairwise

import pytest

from tests.fleet.leftovers import leftovers
from tests.lab.errors import LabError, Unusable
from tests.lab.fixtures import NewLab
from tests.lab.lab import Lab

HOSTS = ("api1", "api2", "chroma1")
SECONDS = 120


def said(lab: Lab, host: str, *words: str) -> str:
    done = lab.run(host, *words, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def hears(lab: Lab, host: str, other: str) -> bool:
    return lab.run(host, f"ping -c 1 -W 1 {other}", timeout=30).returncode == 0


def seen(lab: Lab, host: str) -> dict[str, object]:
    return next(entry for entry in lab.status()["hosts"] if entry["name"] == host)


def test_every_host_knows_its_name_and_reaches_the_others_by_theirs(lab: Lab) -> None:
    for host in HOSTS:
        assert said(lab, host, "hostname") == host
        assert all(hears(lab, host, other) for other in HOSTS)


def test_no_two_hosts_share_a_machine_id_or_a_host_key(lab: Lab) -> None:
    for file in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert len({said(lab, host, f"cat {file}") for host in HOSTS}) == len(HOSTS)


def test_hosts_come_up_whole_without_a_failed_unit(lab: Lab) -> None:
    assert said(lab, "api1", "systemctl is-system-running --wait || true") == "running", said(
        lab, "api1", "systemctl --failed --no-legend"
    )


def test_a_power_cut_ends_a_host_within_a_second_and_start_brings_the_same_one_back(lab: Lab) -> None:
    identity = said(lab, "api1", "echo kept > /root/note; sync; cat /etc/machine-id")
    begun = time.monotonic()
    lab.kill("api1")
    assert time.monotonic() - begun < 1
    assert seen(lab, "api1")["state"] == "off"
    assert not hears(lab, "api2", "api1")
    lab.start("api1")
    assert said(lab, "api1", "cat /etc/machine-id") == identity
    assert said(lab, "api1", "cat /root/note") == "kept"


def test_a_journal_is_read_from_a_host_that_is_dead(lab: Lab) -> None:
    said(lab, "api1", "logger -t lab-test before the power cut && journalctl --sync")
    lab.kill("api1")
    try:
        assert "before the power cut" in lab.journal("api1", "-t", "lab-test")
    finally:
        lab.start("api1")


def test_a_host_that_is_shut_down_ends_its_services_first(lab: Lab) -> None:
    assert lab.stop("api1") == []
    try:
        assert "Reached target" in lab.journal("api1", "-n", "60")
        with pytest.raises(LabError, match="is off"):
            lab.stop("api1")
    finally:
        lab.start("api1")
    with pytest.raises(LabError, match="is on already"):
        lab.start("api1")


def test_a_reboot_from_within_brings_the_host_back(lab: Lab) -> None:
    before = said(
        lab, "api1", "cat /proc/sys/kernel/random/boot_id; systemctl show -P KernelTimestampMonotonic"
    )
    first = said(lab, "api1", "stat -c %Y /proc/1")
    lab.run("api1", "systemctl reboot", timeout=30)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lab.wait("api1")
        # a host that is going down still answers one connection and breaks the next
        now = lab.run("api1", "stat -c %Y /proc/1", timeout=30)
        if now.returncode == 0 and now.stdout.strip() != first:
            return
        time.sleep(0.5)
    pytest.fail(f"it never came back: {before}")


def test_a_replaced_host_is_a_new_one_with_the_old_data(lab: Lab) -> None:
    device = "/dev/disk/by-id/virtio-chroma1-data"
    blank = lab.run("chroma1", f"blkid -p {device}")
    assert blank.returncode == 2, "a new data disk is blank"
    said(lab, "chroma1", f"mkfs.ext4 -q -L chroma1-data {device}")
    said(
        lab, "chroma1", f"mount {device} /mnt && echo precious > /mnt/file && umount /mnt && touch /root/old"
    )
    identity = said(lab, "chroma1", "cat /etc/machine-id")
    lab.replace("chroma1")
    assert said(lab, "chroma1", "cat /etc/machine-id") != identity
    assert lab.run("chroma1", "test -e /root/old").returncode == 1
    for found_by in (device, "/dev/disk/by-label/chroma1-data", "LABEL=chroma1-data"):
        assert said(lab, "chroma1", f"mount {found_by} /mnt && cat /mnt/file && umount /mnt") == "precious"


def test_a_cut_host_is_unreachable_and_the_others_still_talk(lab: Lab) -> None:
    lab.cut("api1")
    try:
        assert not hears(lab, "api2", "api1")
        assert hears(lab, "api2", "chroma1")
        shown = seen(lab, "api1")
        assert (shown["state"], shown["cut"], shown["ssh"]) == ("on", True, False)
    finally:
        lab.heal("api1")
    assert hears(lab, "api2", "api1")


def test_a_frozen_host_stands_still_and_runs_on_when_it_is_thawed(lab: Lab) -> None:
    said(
        lab,
        "api1",
        "systemd-run -q --unit=ticker sh -c 'while :; do date +%s >> /run/ticks; sleep 0.2; done'",
    )
    ticks = "wc -l < /run/ticks"
    said(lab, "api1", "while [ ! -s /run/ticks ]; do sleep 0.1; done")
    lab.freeze("api1")
    try:
        assert seen(lab, "api1")["state"] == "frozen"
        assert not hears(lab, "api2", "api1")
        with pytest.raises(LabError, match="frozen"):
            lab.stop("api1")
        time.sleep(3)
    finally:
        lab.thaw("api1")
    time.sleep(1)
    stamps = [int(line) for line in said(lab, "api1", "cat /run/ticks").split()]
    assert max(later - earlier for earlier, later in pairwise(stamps)) >= 2
    before = int(said(lab, "api1", ticks))
    time.sleep(1)
    assert int(said(lab, "api1", ticks)) > before
    said(lab, "api1", "systemctl stop ticker")


def test_a_frozen_host_that_was_cut_before_stays_cut_until_it_is_healed(lab: Lab) -> None:
    lab.cut("api1")
    lab.freeze("api1")
    lab.thaw("api1")
    try:
        assert not hears(lab, "api2", "api1")
    finally:
        lab.heal("api1")
    assert hears(lab, "api2", "api1")


def test_hosts_reach_no_network_but_their_own_not_even_with_a_route(lab: Lab) -> None:
    outside = json.loads(_output("ip", "-j", "-4", "address", "show", "scope", "global"))
    others = {
        address["local"]
        for link in outside
        for address in link["addr_info"]
        if link["ifname"] != lab.place.ident
    }
    assert others, "this machine has an address to be reached at"
    gateway = str(lab.record().gateway)
    said(lab, "api1", f"ip route add default via {gateway}")
    try:
        for address in [*others, gateway]:
            assert not hears(lab, "api1", address)
    finally:
        said(lab, "api1", "ip route del default")


def test_a_host_gets_no_more_memory_than_its_plan_says(lab: Lab) -> None:
    plan = lab.record().hosts["api1"].plan.memory
    eat = f"python3 -c 'x = bytearray({plan + 200} << 20)'"
    assert lab.run("api1", eat, timeout=60).returncode != 0
    lab.wait("api1")


def test_a_command_on_an_unknown_host_names_the_hosts_there_are(lab: Lab) -> None:
    with pytest.raises(Unusable, match=r"Did you mean chroma1\?.*It has: api1, api2, chroma1"):
        lab.kill("chrome")


def test_ansible_would_find_every_host_with_its_key_pinned(lab: Lab) -> None:
    text = lab.inventory()
    assert all(f"        {host}:\n" in text for host in HOSTS)
    assert "StrictHostKeyChecking=yes" in text
    assert all((lab.place.known_hosts / lab.address(host)).read_text().strip() for host in HOSTS)


def test_two_labs_side_by_side_know_nothing_of_each_other(lab: Lab, new_lab: NewLab) -> None:
    other = new_lab("api1")
    assert other.record().subnet != lab.record().subnet
    assert not hears(lab, "api2", other.address("api1"))
    other.kill("api1")
    assert seen(lab, "api1")["state"] == "on"


def test_the_same_image_serves_many_hosts_and_is_never_written_to(lab: Lab) -> None:
    image = lab.record().image.path
    before = image.stat()
    lab.replace("api1", "api2")
    after = image.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_blocks) == (
        before.st_mtime_ns,
        before.st_size,
        before.st_blocks,
    )
    assert leftovers(lab.place), "the search for leftovers finds a lab that is there"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
