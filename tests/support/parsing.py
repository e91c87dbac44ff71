"""Reading documents made in a test, in the same process."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping

from app.parsing import dispatch
from app.parsing.detect import Kind, detect
from app.parsing.model import Limits, Page, Unreadable
from app.parsing.source import from_file

FORMATS = dispatch.load()


def read(data: bytes, name: str = "document", limits: Limits | None = None) -> list[Page]:
    """All pages of a document. Raises: Unreadable."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return list(dispatch.pages(from_file(file, name), limits or Limits(), FORMATS))


def outcome(data: bytes, name: str = "document") -> list[Page] | Unreadable:
    """All pages of a document, or why it cannot be read."""
    try:
        return read(data, name)
    except Unreadable as error:
        return error


def kind_of(data: bytes, name: str = "document") -> Kind:
    """The type found for a document. Raises: Unreadable."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return detect(from_file(file, name))


def zipped(entries: Mapping[str, str | bytes], *, packed: bool = True) -> bytes:
    """A zip file with these entries."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()
