"""The folder of a socket is short, always the same, and nobody else's."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app.embedded.sockets import make_socket_folder, socket_place


def test_a_short_path_keeps_its_socket_in_the_data_folder() -> None:
    assert socket_place(Path("/srv/data/postgres")) == Path("/srv/data/postgres/run")


@pytest.mark.parametrize("name", ["x" * 200, "東" * 40, "a,b", 'a"b', "a\nb"])
def test_other_paths_get_a_short_one_of_their_own_that_stays_the_same(name: str) -> None:
    place = socket_place(Path("/srv") / name)
    assert len(bytes(place / ".s.PGSQL.5432")) <= 107
    assert place == socket_place(Path("/srv") / name)
    assert place != socket_place(Path("/srv") / f"{name}2")


def test_a_folder_that_others_could_enter_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    assert make_socket_folder(tmp_path / "run") == tmp_path / "run"
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_a_link_that_somebody_laid_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "trap").mkdir(mode=0o755)
    (tmp_path / "run").symlink_to(tmp_path / "trap")
    made = make_socket_folder(tmp_path / "run")
    assert made.parent == tmp_path
    assert made not in {tmp_path / "run", tmp_path / "trap"}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "trap").stat().st_mode) == 0o755
