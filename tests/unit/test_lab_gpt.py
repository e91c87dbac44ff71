from __future__ import annotations

import struct
import uuid
import zlib
from pathlib import Path

import pytest

from tests.lab import gpt
from tests.lab.errors import LabError

ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")


def disk(folder: Path, *partitions: tuple[uuid.UUID, int, int], length: int = 1 << 20) -> Path:
    """A raw disk with these partitions: type, first and last sector."""
    entries = b"".join(
        struct.pack(
            "<16s16sQQQ72s", kind.bytes_le, uuid.uuid4().bytes, first, last, 0, "part".encode("utf-16-le")
        )
        for kind, first, last in partitions
    ).ljust(128 * 128, b"\0")
    fields = [b"EFI PART", b"\0\0\1\0", 92, 0, 0, 1, 2047, 34, 2014, uuid.uuid4().bytes, 2, 128, 128]
    fields.append(zlib.crc32(entries))
    header = bytearray(struct.pack("<8s4sIIIQQQQ16sQIII", *fields))
    header[16:20] = struct.pack("<I", zlib.crc32(bytes(header)))
    path = folder / "disk.raw"
    path.write_bytes((bytes(512) + bytes(header).ljust(512, b"\0") + entries).ljust(length, b"\0"))
    return path


def test_the_root_partition_is_found_by_its_type_among_others(tmp_path: Path) -> None:
    path = disk(tmp_path, (ESP, 64, 127), (gpt.ROOT_X86_64, 128, 1023))
    root = gpt.root(path)
    assert (root.offset, root.size, root.name) == (128 * 512, 896 * 512, "part")
    assert [partition.kind for partition in gpt.partitions(path)] == [ESP, gpt.ROOT_X86_64]


@pytest.mark.parametrize("roots", [0, 2])
def test_a_disk_without_one_clear_root_is_refused(tmp_path: Path, roots: int) -> None:
    path = disk(tmp_path, *[(gpt.ROOT_X86_64, 64 + 100 * index, 100 + 100 * index) for index in range(roots)])
    with pytest.raises(LabError, match=f"has {roots} root partitions"):
        gpt.root(path)


def test_a_disk_that_was_cut_short_while_being_copied_is_refused(tmp_path: Path) -> None:
    path = disk(tmp_path, (gpt.ROOT_X86_64, 128, 4095))
    with pytest.raises(LabError, match="is cut short"):
        gpt.root(path)


@pytest.mark.parametrize("position", [512 + 24, 1024 + 40])
def test_a_damaged_table_is_refused(tmp_path: Path, position: int) -> None:
    path = disk(tmp_path, (gpt.ROOT_X86_64, 128, 1023))
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(LabError, match=r"is damaged \(wrong checksum\)"):
        gpt.root(path)


@pytest.mark.parametrize("content", [b"", b"text", bytes(4096)])
def test_a_file_that_is_no_disk_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(LabError, match="is no disk with a GPT"):
        gpt.root(path)


def test_an_unreadable_image_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="can't be read: Is a directory"):
        gpt.root(tmp_path)
