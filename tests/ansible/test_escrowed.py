"""A fleet's authority and secrets come out of the escrow onto a controller that has none, over nothing."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.running import needs_ansible, results

pytestmark = needs_ansible

HELD = {"fleet/ca.crt": "authority", "fleet/ca.key": "its key", "key": "passphrase"}
BESIDE = {"inventory/hosts.yml": "hosts", "inventory/group_vars/all.yml": "variables", "release": "one"}


def packed(files: dict[str, str]) -> str:
    """A tar of these, as base64."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    return base64.b64encode(whole.getvalue()).decode()


def bring(folder: Path, content: str, times: int = 1) -> list[dict[str, Any]]:
    """What comes of it, the last time after the others."""
    words = {"folder": str(folder / "fleet"), "key": str(folder / "keys" / "fleet.key"), "content": content}
    return results(folder, *[{"escrowed": words}] * times)


def test_all_of_it_comes_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    first, second = bring(tmp_path, packed({**HELD, **BESIDE}), times=2)
    assert first["changed"]
    assert not second["changed"]
    fleet, before = tmp_path / "fleet", tmp_path / "fleet.before"
    assert {path.name: path.read_text() for path in fleet.iterdir()} == {
        "ca.crt": "authority",
        "ca.key": "its key",
    }
    assert {name: (before / name).read_text() for name in BESIDE} == BESIDE
    key = tmp_path / "keys" / "fleet.key"
    assert key.read_text() == "passphrase"
    assert {path.stat().st_mode & 0o077 for path in [key, *fleet.iterdir()]} == {0}


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("fleet/ca.crt", "holds another authority than the escrow"), ("keys/fleet.key", "is another key")],
)
def test_another_fleets_files_are_left_alone(place: str, sentence: str, tmp_path: Path) -> None:
    other = tmp_path / place
    other.parent.mkdir()
    other.write_text("another")
    (found,) = bring(tmp_path, packed(HELD))
    assert sentence in found["msg"]
    assert other.read_text() == "another"
    assert [path.name for path in other.parent.iterdir()] == [other.name]


def test_what_ended_in_the_middle_goes_on(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "ca.key").write_text("its")
    (found,) = bring(tmp_path, packed(HELD))
    assert found["changed"]
    assert (tmp_path / "fleet" / "ca.key").read_text() == "its key"


@pytest.mark.parametrize(
    "content",
    [
        packed({"fleet/ca.crt": "authority"}),
        packed({**HELD, "fleet/../../ours": "theirs"}),
        packed({**HELD, "/etc/ours": "theirs"}),
        base64.b64encode(b"no tar").decode(),
        "*",
    ],
    ids=["no key", "a way out", "a whole path", "no tar", "no base64"],
)
def test_what_is_no_escrow_is_refused_whole(content: str, tmp_path: Path) -> None:
    (found,) = bring(tmp_path, content)
    assert found["failed"]
    assert "take an older one" in found["msg"]
    assert not (tmp_path / "fleet").exists()
    assert not (tmp_path / "keys").exists()
