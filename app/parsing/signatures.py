"""First bytes of files that are recognised only to say, in words, that they cannot be read."""

from __future__ import annotations

import mmap
import re

from app.parsing.model import Unreadable, Unsupported

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_PICTURE = ("A picture", "Make a PDF of it with OCR (for example img2pdf, then ocrmypdf) and upload that.")
_SOUND = ("A sound file", "Upload a transcript of it as text.")
_FILM = ("A film", "Upload a transcript of it as text.")
_PROGRAM = ("A program", "Upload documents only.")
_ARCHIVE = ("An archive", "Unpack it and upload the files in it.")
_DATA = ("A data file of a program", "Export what is in it as CSV or text and upload the result.")
_FONT = ("A font", "Upload documents only.")
_RTF = ("A Rich Text (RTF) document", "Save it as DOCX or PDF and upload the result.")
_PS = ("A PostScript file", "Convert it to PDF (for example with ps2pdf) and upload the result.")
_MOBI = ("A Kindle book", "Convert it to EPUB (for example with Calibre) and upload the result.")
_DJVU = (
    "A DjVu document",
    "Convert it to PDF (for example with ddjvu), run OCR on it and upload the result.",
)

# (position, bytes, what it is and what to do); first match counts
_SIGNATURES: tuple[tuple[int, bytes, tuple[str, str]], ...] = (
    (0, b"{\\rtf", _RTF),
    (0, b"%!PS", _PS),
    (0, b"\x89PNG\r\n\x1a\n", _PICTURE),
    (0, b"\xff\xd8\xff", _PICTURE),
    (0, b"GIF87a", _PICTURE),
    (0, b"GIF89a", _PICTURE),
    (0, b"II*\x00", _PICTURE),
    (0, b"MM\x00*", _PICTURE),
    (0, b"8BPS", _PICTURE),
    (0, b"\x00\x00\x01\x00", _PICTURE),
    (8, b"WEBP", _PICTURE),
    (4, b"ftypheic", _PICTURE),
    (4, b"ftypmif1", _PICTURE),
    (4, b"ftypavif", _PICTURE),
    (4, b"ftyp", _FILM),
    (8, b"AVI ", _FILM),
    (8, b"WAVE", _SOUND),
    (0, b"\x1aE\xdf\xa3", _FILM),
    (0, b"\x00\x00\x01\xba", _FILM),
    (0, b"FLV\x01", _FILM),
    (0, b"ID3", _SOUND),
    (0, b"fLaC", _SOUND),
    (0, b"OggS", _SOUND),
    (0, b"MThd", _SOUND),
    (0, b"\x7fELF", _PROGRAM),
    (0, b"\xca\xfe\xba\xbe", _PROGRAM),
    (0, b"\xcf\xfa\xed\xfe", _PROGRAM),
    (0, b"\x00asm", _PROGRAM),
    (0, b"\x1f\x8b", _ARCHIVE),
    (0, b"BZh", _ARCHIVE),
    (0, b"\xfd7zXZ\x00", _ARCHIVE),
    (0, b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (0, b"Rar!\x1a\x07", _ARCHIVE),
    (0, b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (0, b"MSCF", _ARCHIVE),
    (257, b"ustar", _ARCHIVE),
    (0, b"SQLite format 3\x00", _DATA),
    (0, b"PAR1", _DATA),
    (0, b"ARROW1", _DATA),
    (0, b"\x89HDF", _DATA),
    (0, b"AT&TFORM", _DJVU),
    (60, b"BOOKMOBI", _MOBI),
    (0, b"wOFF", _FONT),
    (0, b"wOF2", _FONT),
    (0, b"OTTO\x00", _FONT),
    (0, b"\x00\x01\x00\x00\x00", _FONT),
)
_SVG = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?><!--(?>.*?-->)\s*|<!DOCTYPE[^>]*>\s*)*+<svg[\s>]",
    re.DOTALL,
)

_OLE_STREAMS = (
    (
        "PowerPoint Document",
        "A PowerPoint file of the old type (PPT)",
        "Save it as PPTX and upload the result.",
    ),
    ("WordDocument", "A Word file of the old type (DOC)", "Save it as DOCX and upload the result."),
    ("Workbook", "An Excel file of the old type (XLS)", "Save it as XLSX and upload the result."),
    ("Book", "An Excel file of the old type (XLS)", "Save it as XLSX and upload the result."),
    ("__substg1.0_", "An Outlook message (MSG)", "Save it as EML or PDF and upload the result."),
)


def unsupported(head: bytes) -> Unreadable | None:
    """The error for a file that begins with ``head``, or None when no known signature fits."""
    for position, mark, (what, remedy) in _SIGNATURES:
        if head.startswith(mark, position):
            return Unsupported(what, remedy)
    if _is_program(head):
        return Unsupported(*_PROGRAM)
    if _is_bitmap(head) or _SVG.match(head[:8192]):
        return Unsupported(*_PICTURE)
    if head[:1] == b"\xff" and len(head) > 1 and head[1] in {0xFB, 0xF3, 0xF2, 0xFA} and b"\x00" in head:
        return Unsupported(*_SOUND)
    return None


def _is_program(head: bytes) -> bool:
    return head.startswith(b"MZ") and b"\x00" in head[:64]


def _is_bitmap(head: bytes) -> bool:
    return head.startswith(b"BM") and head[6:10] == b"\x00\x00\x00\x00"


def ole_content(memory: mmap.mmap) -> Unreadable | None:
    """What an OLE container (the old Office format) holds; None for an encrypted OOXML document.

    The streams are named in the container's directory in UTF-16; an embedded object's stream stands later
    than the document's own, so the first name found decides.
    """
    if memory.find("EncryptedPackage".encode("utf-16-le")) >= 0:
        return None
    found = [
        (position, what, remedy)
        for stream, what, remedy in _OLE_STREAMS
        if (position := memory.find(stream.encode("utf-16-le"))) >= 0
    ]
    if not found:
        return Unsupported("A file of an old Office or Windows type", "Save it as PDF and upload the result.")
    _, what, remedy = min(found)
    return Unsupported(what, remedy)
