from __future__ import annotations

import json
import os
import shlex
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from tests.lab import gpt, identity, image, inventory
from tests.lab.errors import LabError
from tests.lab.image import Image
from tests.lab.state import Host, Place, Record
from tests.lab.topology import choose

PLACE = Place("lab", Path("/labs/lab"))


def record() -> Record:
    hosts = {plan.name: Host(plan, "nspawn") for plan in choose(["full"])}
    return Record(IPv4Network("10.213.4.0/24"), Image(Path("/image.raw"), 1, 2, "/nix/store/abc-ka"), hosts)


def read(text: str) -> dict[str, Any]:
    """The nested mappings of a YAML file whose values are all quoted strings."""
    top: dict[str, Any] = {}
    stack = [(-1, top)]
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip())
        key, value = line.strip().split(":", 1)
        while stack[-1][0] >= depth:
            stack.pop()
        entry: Any = json.loads(value) if value else {}
        stack[-1][1][key] = entry
        stack.append((depth, entry))
    return top


def test_every_host_is_in_its_group_with_its_address_and_its_data_disk() -> None:
    groups = read(inventory.yaml(PLACE, record()))["all"]["children"]
    assert list(groups["postgres"]["hosts"]) == ["postgres1", "postgres2", "postgres3"]
    assert groups["chroma"]["hosts"]["chroma1"] == {
        "ansible_host": "10.213.4.20",
        "disks_data_device": "/dev/disk/by-id/virtio-chroma1-data",
        "disks_data_label": "chroma1-data",
    }
    assert groups["api"]["hosts"]["api2"] == {"ansible_host": "10.213.4.12"}


def test_hosts_are_reached_with_the_labs_key_and_only_if_their_own_is_known() -> None:
    found = read(inventory.yaml(PLACE, record()))["all"]["vars"]
    assert found["ansible_ssh_private_key_file"] == "/labs/lab/key"
    assert "StrictHostKeyChecking=yes" in found["ansible_ssh_common_args"]
    told = {key: value for key, value in found.items() if key.startswith("fleet_")}
    assert told == {"fleet_name": "lab", "fleet_subnet": "10.213.4.0/24"}


def test_refresh_replaces_hosts_by_the_lab_itself() -> None:
    told = read(inventory.yaml(PLACE, record()))["all"]["vars"]["refresh_command"]
    command, *words = shlex.split(told)
    assert os.access(command, os.X_OK)
    assert words == ["--name", "lab", "replace"]


def test_every_host_is_told_the_names_of_all_others() -> None:
    lines = identity.hosts_file(record()).splitlines()
    assert "10.213.4.10 balancer1" in lines
    assert len([line for line in lines if line.startswith("10.213.4.")]) == 10


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image whose partition table is not what matters."""
    path = tmp_path / "image.raw"
    path.touch()
    monkeypatch.setattr(gpt, "root", lambda _: gpt.Partition(gpt.ROOT_X86_64, 1, 2, ""))
    return path


def test_an_image_of_the_wanted_closure_is_taken(raw: Path) -> None:
    raw.with_name("manifest.json").write_text('{"closure": "/nix/store/abc-ka", "packages": []}')
    assert image.inspect(raw, "/nix/store/abc-ka").closure == "/nix/store/abc-ka"


def test_an_image_of_another_closure_is_refused_with_both_names(raw: Path) -> None:
    raw.with_name("manifest.json").write_text('{"closure": "/nix/store/abc-ka"}')
    with pytest.raises(LabError, match="holds the closure /nix/store/abc-ka, but /nix/store/other is wanted"):
        image.inspect(raw, "/nix/store/other")


def test_an_image_without_a_manifest_will_do_unless_its_closure_matters(raw: Path) -> None:
    assert image.inspect(raw).closure is None
    with pytest.raises(LabError, match="has no manifest"):
        image.inspect(raw, "/nix/store/other")


def test_a_manifest_that_makes_no_sense_is_refused(raw: Path) -> None:
    raw.with_name("manifest.json").write_text("{")
    with pytest.raises(LabError, match="can't be read"):
        image.inspect(raw)
