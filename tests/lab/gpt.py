"""Where the root partition lies in a raw disk: the GPT, read directly.

No loop device with partitions is needed for that, so it works on kernels that parse no partition table.
Layout: UEFI Specification 2.10, section 5.3; type of the root: Discoverable Partitions Specification, x86-64.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

ROOT_X86_64 = uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
_HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_SECTOR = 512


@dataclass(frozen=True)
class Partition:
    """One partition; ``offset`` and ``size`` in bytes."""

    kind: uuid.UUID
    offset: int
    size: int
    name: str


def partitions(path: Path) -> list[Partition]:
    """The partitions of the raw disk ``path``, in the order of its table.

    Raises:
        LabError: it can't be read, or carries no sound GPT.
    """
    try:
        with path.open("rb") as disk:
            disk.seek(_SECTOR)
            header = disk.read(_SECTOR)
            start, count, size, checksum = _table(path, header)
            disk.seek(start)
            table = disk.read(count * size)
    except OSError as error:
        raise LabError(f"The image {path} can't be read: {error.strerror}.") from error
    if zlib.crc32(table) != checksum:
        raise LabError(f"The partition table of {path} is damaged (wrong checksum): make the image again.")
    entries = (_ENTRY.unpack_from(table, index * size) for index in range(count))
    return [
        Partition(
            uuid.UUID(bytes_le=kind),
            first * _SECTOR,
            (last - first + 1) * _SECTOR,
            name.decode("utf-16-le", errors="replace").rstrip("\0"),
        )
        for kind, _, first, last, _, name in entries
        if any(kind)
    ]


def root(path: Path) -> Partition:
    """The partition that holds the root file system.

    Raises:
        LabError: there is none, or more than one.
    """
    found = [partition for partition in partitions(path) if partition.kind == ROOT_X86_64]
    if len(found) != 1:
        raise LabError(f"{path} has {len(found)} root partitions of the type {ROOT_X86_64}, one is needed.")
    if found[0].offset + found[0].size > path.stat().st_size:
        raise LabError(
            f"{path} is cut short: its root partition ends behind the end of the file. Make it again."
        )
    return found[0]


def _table(path: Path, header: bytes) -> tuple[int, int, int, int]:
    """Byte offset, number, size and checksum of the entries."""
    if len(header) < _SECTOR or not header.startswith(b"EFI PART"):
        raise LabError(f"{path} is no disk with a GPT: give the raw image that `make image` writes.")
    fields = _HEADER.unpack_from(header)
    length, checksum = fields[2], fields[3]
    blanked = header[:16] + bytes(4) + header[20:length]
    if not _HEADER.size <= length <= _SECTOR or zlib.crc32(blanked) != checksum:
        raise LabError(f"The partition table of {path} is damaged (wrong checksum): make the image again.")
    start, count, size = fields[10], fields[11], fields[12]
    if size < _ENTRY.size or count > 1024:
        raise LabError(f"The partition table of {path} makes no sense: make the image again.")
    return start * _SECTOR, count, size, fields[13]
