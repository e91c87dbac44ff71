"""What only the folder store promises; the rest is in the contract tests."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from app.errors import Unavailable
from app.stores.objects.errors import ObjectStoreFull
from app.stores.objects.folder import FolderStore


def left_over(root: Path) -> list[Path]:
    return list((root / ".incoming").iterdir())


async def test_the_store_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    await FolderStore(root).put_bytes("documents/ab/one", b"x")
    for path in (root, *root.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)

    def no_room(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        with pytest.raises(ObjectStoreFull, match="no room left"):
            await store.put_bytes("documents/ab/one", b"x")
    assert not left_over(tmp_path)
    assert not await store.exists("documents/ab/one")


async def test_a_folder_that_cannot_be_written_to_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable):
        await FolderStore(tmp_path / "file").check()


async def test_what_a_killed_upload_left_is_removed_after_a_day_and_never_listed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    await store.check()
    old, new = tmp_path / ".incoming" / "old", tmp_path / ".incoming" / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    await store.check()
    assert not old.exists()
    assert new.exists()
    assert [key async for key in store.list()] == []


async def test_many_writers_of_one_object_leave_one_whole_object(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    data = os.urandom(300_000)
    await asyncio.gather(*(store.put_bytes("documents/ab/one", data) for _ in range(8)))
    assert (tmp_path / "documents/ab/one").read_bytes() == data
    assert not left_over(tmp_path)
