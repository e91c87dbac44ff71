from __future__ import annotations

import threading
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.lab import state
from tests.lab.errors import LabError, Unusable
from tests.lab.image import Image
from tests.lab.state import Host, Place, Record
from tests.lab.topology import choose


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("KA_LAB_DIR", "/var/tmp/labs")
    monkeypatch.setattr(state, "LOCKS", tmp_path / "locks")
    return Place("lab", tmp_path)


def record() -> Record:
    hosts = {plan.name: Host(plan, "nspawn") for plan in choose(["small"])}
    hosts["chroma1"] = Host(hosts["chroma1"].plan, "qemu", cut=True)
    return Record(IPv4Network("10.213.4.0/24"), Image(Path("/image.raw"), 1, 2, None), hosts, created=5.0)


def test_what_was_written_down_is_read_back_the_same(place: Place) -> None:
    state.save(place, record())
    assert state.load(place) == record()


def test_no_record_means_no_lab(place: Place) -> None:
    assert state.load(place) is None


@pytest.mark.parametrize("text", ["", "{}", '{"image": 1}', "[]", '{"subnet": '])
def test_a_damaged_record_names_the_way_out(place: Place, text: str) -> None:
    place.record.write_text(text)
    with pytest.raises(LabError, match="`tools/lab --name lab down` clears the lab away"):
        state.load(place)


@pytest.mark.parametrize("name", ["", "Lab", "a b", "../x", "-x", "x" * 42])
def test_a_name_that_would_not_do_is_refused(place: Place, name: str) -> None:
    with pytest.raises(Unusable, match="can't be a lab's name"):
        state.place(name)


def test_a_folder_whose_path_would_break_mount_options_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KA_LAB_DIR", "/var/tmp/my labs")
    with pytest.raises(Unusable, match="KA_LAB_DIR"):
        state.place("lab")


def test_two_labs_never_share_the_names_of_their_things(place: Place) -> None:
    idents = {state.place(f"lab-{number}").ident for number in range(50)}
    assert len(idents) == 50
    assert all(len(f"vb-{ident}-254") <= 15 for ident in idents), (
        "names of interfaces have 15 characters at most"
    )


def test_who_finds_a_lab_locked_is_told_by_whom(place: Place) -> None:
    with (
        state.locked(place, "replace"),
        pytest.raises(LabError, match=r"Another command \(replace, process \d+\) is at work on lab 'lab'"),
    ):
        _lock_briefly(place)
    _lock_briefly(place)


def test_a_lock_whose_file_was_removed_still_keeps_two_apart(place: Place) -> None:
    inside: list[str] = []
    with state.locked(place, "down"):
        waiting = threading.Thread(target=lambda: _note(place, inside))
        waiting.start()
        state.forget_lock(place)
        inside.append("first")
    waiting.join(10)
    assert inside == ["first", "second"]


def _lock_briefly(place: Place) -> None:
    with state.locked(place, "kill", patience=0.1):
        pass


def _note(place: Place, inside: list[str]) -> None:
    with state.locked(place, "up"):
        inside.append("second")
