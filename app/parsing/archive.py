"""Zip files that may be hostile: sizes and ratios are checked before anything is unpacked."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from app.parsing.model import Damaged, PasswordNeeded, TooLarge
from app.parsing.source import Source

MAX_ENTRY = 512 * 1024**2
MAX_TOTAL = 1024**3
MAX_ENTRIES = 50_000
_RATIO = 300
_RATIO_FROM = 32 * 1024**2
_MEDIA = re.compile(
    r"\.(png|jpe?g|gif|bmp|tiff?|emf|wmf|mp[34]|m4[av]|mov|avi|wav|wmv|ttf|otf|woff2?|bin)$", re.IGNORECASE
)
_DOCTYPE = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCRYPTED = 0x1


class Archive:
    """Read access to a zip file whose entries have been checked; see ``opened``."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._zip = file
        self.names: dict[str, zipfile.ZipInfo] = {info.filename: info for info in file.infolist()}

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def open(self, name: str) -> IO[bytes]:
        """Open an entry as a stream. Raises: Damaged when there is no such entry."""
        info = self.names.get(name)
        if info is None:
            raise Damaged
        # zipfile never returns more than the size declared, which has been checked.
        return self._zip.open(info)

    def read(self, name: str, most: int = 256 * 1024**2) -> bytes:
        """Return an entry of at most ``most`` bytes. Raises: Damaged, TooLarge."""
        with self.open(name) as entry:
            data = entry.read(most + 1)
        if len(data) > most:
            raise TooLarge(f"a part of it unpacks to more than {most // 1024**2} MB")
        return data

    def read_xml(self, name: str) -> bytes:
        """Like ``read`` for XML of office documents, which never declare a document type or entities."""
        data = self.read(name)
        if _DOCTYPE.search(data[:4096].replace(b"\x00", b"")):
            raise Damaged
        return data


@contextmanager
def opened(source: Source) -> Iterator[Archive]:
    """Open the zip file in ``source`` after checking what it claims to hold.

    Raises: Damaged (no or a broken directory, or an entry that breaks while it is read), PasswordNeeded
    (entries are encrypted), TooLarge (it would unpack to too much: an archive bomb).
    """
    source.file.seek(0)
    try:
        with zipfile.ZipFile(source.file) as file:
            _check(file)
            yield Archive(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Damaged from error


def _check(file: zipfile.ZipFile) -> None:
    entries = file.infolist()
    if len(entries) > MAX_ENTRIES:
        raise TooLarge(f"it is an archive of {len(entries):,} files")
    total = 0
    for info in entries:
        if info.flag_bits & _ENCRYPTED:
            raise PasswordNeeded
        # Pictures and films are not unpacked by any parser here.
        if not _MEDIA.search(info.filename):
            total += info.file_size
            _check_entry(info)
    if total > MAX_TOTAL:
        raise TooLarge(f"it unpacks to {total // 1024**2:,} MB")


def _check_entry(info: zipfile.ZipInfo) -> None:
    packed_tightly = info.file_size > _RATIO * max(1, info.compress_size)
    if info.file_size > MAX_ENTRY or (info.file_size > _RATIO_FROM and packed_tightly):
        raise TooLarge(f"a part of it unpacks to {info.file_size // 1024**2:,} MB")
