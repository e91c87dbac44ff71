"""The image as a file, without booting it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from packer.bake import audit, budget, disk, record, updates
from packer.bake.run import output, program


def test_nothing_in_it_is_somebodys_or_would_be_shared(image: Path, manifest: dict[str, Any]) -> None:
    assert audit.problems(image, manifest["closure"]["path"]) == []


def test_the_manifest_has_its_checksum_and_size(image: Path, manifest: dict[str, Any]) -> None:
    assert record.sha256(image) == manifest["sha256"]
    assert disk.usage(image).root == manifest["size"]["used_bytes"]


def test_it_is_within_its_budget(image: Path) -> None:
    budget.check(disk.usage(image).root)


def test_the_updates_of_the_day_are_in(image: Path) -> None:
    assert updates.missing(image) == [], "bake again: Debian has newer packages"


def test_its_partitions_say_what_they_are(image: Path) -> None:
    table = json.loads(output([program("sfdisk"), "--json", str(image)]))["partitiontable"]
    assert table["label"] == "gpt"
    assert [part["type"] for part in table["partitions"]] == [
        "21686148-6449-6E6F-744E-656564454649",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    ]


def test_the_bill_of_materials_names_debian_and_python_packages(
    image: Path, manifest: dict[str, Any]
) -> None:
    bill = json.loads((image.parent / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    references = [part["bom-ref"] for part in bill["components"]]
    assert len(references) == len(set(references))
    urls = {part.get("purl", "") for part in bill["components"]}
    versions = {one["name"]: one["version"] for one in manifest["packages"]}
    assert any(
        url.startswith(f"pkg:deb/debian/patroni@{versions['patroni'].partition('-')[0]}") for url in urls
    )
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text()
    chroma = re.search(r"^chromadb==(\S+)", lock, re.MULTILINE)
    assert chroma
    assert f"pkg:pypi/chromadb@{chroma[1]}" in urls


def test_a_changed_image_is_noticed(image: Path, manifest: dict[str, Any], tmp_path: Path) -> None:
    copy = tmp_path / "image.raw"
    subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
    (tmp_path / "key").write_text("secret")
    requests = "write {0} /root/.bash_history\nwrite {0} /etc/ssh/ssh_host_ed25519_key\n".format(
        tmp_path / "key"
    )
    subprocess.run(
        [program("debugfs"), "-w", "-f", "-", f"{copy}?offset={disk.ROOT_AT}"],
        input=requests,
        text=True,
        capture_output=True,
        check=True,
    )
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    done = subprocess.run(
        [sys.executable, "-m", "packer.bake", "check", str(copy)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ssh_host_ed25519_key is in it" in done.stderr
    assert ".bash_history is in it" in done.stderr


@pytest.mark.parametrize(("megabytes", "kept"), [(1000, True), (1049, True), (1051, False)])
def test_growth_of_more_than_five_percent_fails(tmp_path: Path, megabytes: int, kept: bool) -> None:
    recorded = tmp_path / "budget.json"
    recorded.write_text('{"used_megabytes": 1000, "growth_percent": 5, "most_megabytes": 2500}')
    if kept:
        budget.check(megabytes * budget.MEGABYTE, recorded)
    else:
        with pytest.raises(Exception, match="more than 5 %"):
            budget.check(megabytes * budget.MEGABYTE, recorded)
