"""PostgreSQL's archive_command, run over a real folder."""

from __future__ import annotations

import gzip
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROLE = Path(__file__).parent.parent.parent / "ansible" / "roles" / "archive"
SCRIPT = ROLE / "templates" / "tree" / "usr" / "local" / "lib" / "knowledge-assistant" / "wal-keep.j2"
NAME = "000000010000000000000003"


@dataclass
class Keeper:
    """wal-keep with a spool of its own; ``limit`` in bytes."""

    folder: Path
    limit: int = 10**9

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def __call__(self, content: bytes, name: str = NAME) -> subprocess.CompletedProcess[str]:
        self.spool.mkdir(exist_ok=True)
        source = self.folder / name
        source.write_bytes(content)
        text = SCRIPT.read_text(encoding="utf-8")
        text = text.replace("{{ archive_folder }}", str(self.spool)).replace(
            "{{ archive_spool }}", str(self.limit)
        )
        assert "{{" not in text
        script = self.folder / "wal-keep"
        script.write_text(text, encoding="utf-8")
        return subprocess.run(
            ["sh", str(script), str(source), name], check=False, capture_output=True, text=True
        )

    def kept(self, name: str = NAME) -> bytes:
        return gzip.decompress((self.spool / "current" / f"{name}.gz").read_bytes())


@pytest.fixture
def keep(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def test_a_file_is_kept_packed_and_for_its_user_alone(keep: Keeper) -> None:
    assert keep(b"wal" * 1000).returncode == 0
    assert keep.kept() == b"wal" * 1000
    assert [path.name for path in (keep.spool / "current").iterdir()] == [f"{NAME}.gz"]
    assert (keep.spool / "current" / f"{NAME}.gz").stat().st_mode & 0o077 == 0


def test_the_same_file_again_is_right(keep: Keeper) -> None:
    keep(b"one")
    again = keep(b"one")
    assert (again.returncode, again.stderr) == (0, "")


def test_another_content_under_the_same_name_is_refused_and_the_first_stays(keep: Keeper) -> None:
    keep(b"one")
    again = keep(b"two")
    assert again.returncode == 1
    assert "other content" in again.stderr
    assert keep.kept() == b"one"


def test_a_file_that_a_power_cut_has_spoilt_is_kept_anew(keep: Keeper) -> None:
    keep(b"one" * 1000)
    path = keep.spool / "current" / f"{NAME}.gz"
    path.write_bytes(path.read_bytes()[:10])
    (keep.spool / "current" / f"{NAME}.gz.part").write_bytes(b"half")
    assert keep(b"one" * 1000).returncode == 0
    assert keep.kept() == b"one" * 1000


def test_a_full_spool_takes_nothing_more_says_so_and_stops_nobody(keep: Keeper) -> None:
    keep.limit = 200_000
    first, second = os.urandom(150_000), os.urandom(150_000)
    other = "000000010000000000000004"
    assert keep(first).returncode == 0
    done = keep(second, other)
    assert done.returncode == 0
    assert f"{other} is not kept" in done.stderr
    assert (keep.spool / "wanted").exists()
    assert (keep.spool / "dropped").read_text() == f"{other}\n"
    assert [path.name for path in (keep.spool / "current").iterdir()] == [f"{NAME}.gz"]
    # and is no trouble to what is there already
    assert keep(first).returncode == 0


def test_there_is_room_again_once_the_spool_is_saved(keep: Keeper) -> None:
    keep.limit = 200_000
    keep(os.urandom(150_000))
    keep(os.urandom(150_000), "000000010000000000000004")
    (keep.spool / "current" / f"{NAME}.gz").unlink()
    assert keep(b"five", "000000010000000000000005").returncode == 0
    assert keep.kept("000000010000000000000005") == b"five"
    # until there is a base backup, one is wanted
    assert (keep.spool / "wanted").exists()
