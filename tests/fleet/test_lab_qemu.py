"""A host with the image's own kernel among containers. Under emulation it takes a minute to boot."""

from __future__ import annotations

from tests.lab.lab import Lab

HOSTS = ("api1", "chroma")
QEMU = ("chroma",)
SECONDS = 600


def test_a_qemu_host_boots_the_same_image_and_joins_the_others(lab: Lab) -> None:
    kernels = {name: done.stdout for name, done in lab.run_on(HOSTS, "uname -r").items()}
    assert kernels["chroma"] != kernels["api1"]
    assert lab.run("chroma", "hostname").stdout.strip() == "chroma"
    assert lab.run("api1", "ping -c 1 -W 5 chroma").returncode == 0
    assert lab.run("chroma", "ping -c 1 -W 5 api1").returncode == 0


def test_its_data_disk_has_the_same_name_as_in_a_container(lab: Lab) -> None:
    device = "/dev/disk/by-id/virtio-chroma-data"
    assert lab.run("chroma", f"blkid -p {device}").returncode == 2, "it is there and blank"
    done = lab.run(
        "chroma", f"mkfs.ext4 -q -L chroma-data {device} && mount {device} /mnt && echo old > /mnt/file; sync"
    )
    assert done.returncode == 0, done.stderr


def test_cut_freeze_and_power_cut_do_to_it_what_they_do_to_containers(lab: Lab) -> None:
    lab.cut("chroma")
    assert lab.run("api1", "ping -c 1 -W 2 chroma").returncode != 0
    lab.heal("chroma")
    assert lab.run("api1", "ping -c 1 -W 5 chroma").returncode == 0
    lab.freeze("chroma")
    assert lab.run("api1", "ping -c 1 -W 2 chroma").returncode != 0
    lab.thaw("chroma")
    assert lab.run("api1", "ping -c 1 -W 5 chroma").returncode == 0
    lab.run("chroma", "logger -t lab-test before the power cut && journalctl --sync")
    lab.kill("chroma")
    assert "before the power cut" in lab.journal("chroma", "-t", "lab-test")
    lab.replace("chroma")
    found = lab.run("chroma", "mount /dev/disk/by-label/chroma-data /mnt && cat /mnt/file")
    assert found.stdout.strip() == "old"
    assert lab.stop("chroma") == []
