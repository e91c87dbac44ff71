"""What a file is, found from its content. The name only breaks ties among kinds of plain text."""

from __future__ import annotations

import re
from enum import StrEnum

from app.parsing import signatures
from app.parsing.archive import Archive, opened
from app.parsing.encoding import encoding_of
from app.parsing.model import Damaged, Empty, PasswordNeeded, Unsupported
from app.parsing.source import HEAD_BYTES, Source
from app.parsing.textkinds import TextKind, text_kind


class Kind(StrEnum):
    """The types that can be read."""

    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    ODT = "odt"
    ODP = "odp"
    ODS = "ods"
    EPUB = "epub"
    HTML = "html"
    MARKDOWN = "markdown"
    CSV = "csv"
    EML = "eml"
    TEXT = "text"


_OOXML = (
    (b"wordprocessingml.document.main", Kind.DOCX),
    (b"wordprocessingml.template.main", Kind.DOCX),
    (b"ms-word.document.macroEnabled.main", Kind.DOCX),
    (b"ms-word.template.macroEnabledTemplate.main", Kind.DOCX),
    (b"presentationml.presentation.main", Kind.PPTX),
    (b"presentationml.slideshow.main", Kind.PPTX),
    (b"presentationml.template.main", Kind.PPTX),
    (b"ms-powerpoint.presentation.macroEnabled.main", Kind.PPTX),
    (b"ms-powerpoint.slideshow.macroEnabled.main", Kind.PPTX),
    (b"spreadsheetml.sheet.main", Kind.XLSX),
    (b"spreadsheetml.template.main", Kind.XLSX),
    (b"ms-excel.sheet.macroEnabled.main", Kind.XLSX),
    (b"ms-excel.template.macroEnabled.main", Kind.XLSX),
)
_BY_MIMETYPE = {
    b"application/epub+zip": Kind.EPUB,
    b"application/vnd.oasis.opendocument.text": Kind.ODT,
    b"application/vnd.oasis.opendocument.presentation": Kind.ODP,
    b"application/vnd.oasis.opendocument.spreadsheet": Kind.ODS,
}
_TEXT_KINDS = {
    TextKind.HTML: Kind.HTML,
    TextKind.MARKDOWN: Kind.MARKDOWN,
    TextKind.CSV: Kind.CSV,
    TextKind.EML: Kind.EML,
    TextKind.PLAIN: Kind.TEXT,
}
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def detect(source: Source) -> Kind:
    """Return the type of the file, from what is in it.

    Raises: Empty (no bytes, or nothing but white space), Unsupported (a type that is known and cannot be
    read, or no type that is known), PasswordNeeded (an encrypted office document), Damaged, TooLarge (an
    archive bomb).
    """
    head = source.head
    if source.size <= HEAD_BYTES and not head.strip(b"\x00\t\n\r\x0b\x0c "):
        raise Empty
    if b"%PDF-" in head[:1024]:
        return Kind.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(source)
    if head.startswith(signatures.OLE):
        return _in_ole(source)
    known = signatures.unsupported(head)
    if known is not None:
        raise known
    return _in_text(source)


def _in_zip(source: Source) -> Kind:
    with opened(source) as archive:
        kind = _by_mimetype(archive) or _by_content_types(archive)
    if kind is None:
        raise Unsupported("A zip archive", "Unpack it and upload the files in it.")
    return kind


def _by_mimetype(archive: Archive) -> Kind | None:
    if "mimetype" not in archive:
        return None
    mimetype = archive.read("mimetype").strip()
    kind = _BY_MIMETYPE.get(mimetype.removesuffix(b"-template"))
    manifest = "META-INF/manifest.xml"
    if kind is not None and manifest in archive and b"encryption-data" in archive.read(manifest):
        raise PasswordNeeded
    if kind is None and mimetype.startswith(b"application/vnd.oasis.opendocument"):
        raise Unsupported("An OpenDocument drawing or database", "Export it as PDF and upload the result.")
    return kind


def _by_content_types(archive: Archive) -> Kind | None:
    if "[Content_Types].xml" not in archive:
        return None
    types = archive.read("[Content_Types].xml")
    for mark, kind in _OOXML:
        if mark in types:
            return kind
    if b"ms-excel.sheet.binary" in types:
        raise Unsupported("A binary Excel workbook (XLSB)", "Save it as XLSX and upload the result.")
    if any(name.startswith(("word/", "ppt/", "xl/")) for name in archive.names):
        raise Damaged
    return None


def _in_ole(source: Source) -> Kind:
    with source.mapped() as memory:
        found = signatures.ole_content(memory)
    raise PasswordNeeded if found is None else found


def _in_text(source: Source) -> Kind:
    whole = source.size <= HEAD_BYTES
    encoding = encoding_of(source.head, whole)
    if encoding is None:
        raise Unsupported
    text = source.head.decode(encoding, errors="ignore")
    controls = len(_CONTROLS.findall(text))
    if controls > 2 and controls > len(text) / 200:
        raise Unsupported
    if not text.strip("\ufeff \t\r\n\x00\x0b\x0c") and whole:
        raise Empty
    return _TEXT_KINDS[text_kind(text, source.ending, whole)]
