"""A host with the image's own kernel among containers. Under emulation it takes a minute to boot."""

from __future__ import annotations

from tests.lab.lab import Lab

HOSTS = ("api1", "chroma1")
QEMU = ("chroma1",)
SECONDS = 600


def test_a_qemu_host_boots_the_same_image_and_joins_the_others(lab: Lab) -> None:
    kernels = {name: done.stdout for name, done in lab.run_on(HOSTS, "uname -r").items()}
    assert kernels["chroma1"] != kernels["api1"]
    assert lab.run("chroma1", "hostname").stdout.strip() == "chroma1"
    assert lab.run("api1", "ping -c 1 -W 5 chroma1").returncode == 0
    assert lab.run("chroma1", "ping -c 1 -W 5 api1").returncode == 0


def test_its_data_disk_has_the_same_name_as_in_a_container(lab: Lab) -> None:
    device = "/dev/disk/by-id/virtio-chroma1-data"
    assert lab.run("chroma1", f"blkid -p {device}").returncode == 2, "it is there and blank"
    done = lab.run(
        "chroma1",
        f"mkfs.ext4 -q -L chroma1-data {device} && mount {device} /mnt && echo old > /mnt/file; sync",
    )
    assert done.returncode == 0, done.stderr


def test_cut_freeze_and_power_cut_do_to_it_what_they_do_to_containers(lab: Lab) -> None:
    lab.cut("chroma1")
    assert lab.run("api1", "ping -c 1 -W 2 chroma1").returncode != 0
    lab.heal("chroma1")
    assert lab.run("api1", "ping -c 1 -W 5 chroma1").returncode == 0
    lab.freeze("chroma1")
    assert lab.run("api1", "ping -c 1 -W 2 chroma1").returncode != 0
    lab.thaw("chroma1")
    assert lab.run("api1", "ping -c 1 -W 5 chroma1").returncode == 0
    lab.run("chroma1", "logger -t lab-test before the power cut && journalctl --sync")
    lab.kill("chroma1")
    assert "before the power cut" in lab.journal("chroma1", "-t", "lab-test")
    lab.replace("chroma1")
    found = lab.run("chroma1", "mount /dev/disk/by-label/chroma1-data /mnt && cat /mnt/file")
    assert found.stdout.strip() == "old"
    assert lab.stop("chroma1") == []
