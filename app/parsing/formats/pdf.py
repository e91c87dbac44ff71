"""PDF by PDFium: the text of each page in reading order, with the bookmark in force as its title."""

from __future__ import annotations

import ctypes
import re
from bisect import bisect_right
from collections.abc import Iterator

import pypdfium2
import pypdfium2.raw as pdfium

from app.parsing.detect import Kind
from app.parsing.model import Damaged, Empty, ImageOnly, Limits, Page, PasswordNeeded, TooLarge
from app.parsing.source import Source

# PDFium puts U+FFFE where it joined a word that was hyphenated at a line end.
_JOINT = re.compile("(\\w*)\ufffe(\\w*)")
# Bullets of symbol fonts arrive as controls or private characters.
_BULLET_SIGN = re.compile("[\x01-\x08\uf0a0-\uf0ff]")
_BULLET = re.compile("^[\x01-\x08\uf0a0-\uf0ff](?=\\s)", re.MULTILINE)
_MOST_BOOKMARKS = 5_000
_SCAN_CHARACTERS_PER_PAGE = 10
_PAGES_LOOKED_AT = 20


def accepts(_source: Source, kind: Kind) -> bool:
    """PDF files."""
    return kind is Kind.PDF


def pages(source: Source, limits: Limits) -> Iterator[Page]:
    """Yield a page for each page of the PDF, numbered from 1 as a viewer shows them.

    Raises: PasswordNeeded, Damaged, TooLarge; at the end ImageOnly or Empty when there was no text.
    """
    # The document keeps the map alive; it is unmapped with the last reference to it.
    document = _opened((ctypes.c_char * source.size).from_buffer(source.mapped()))
    try:
        count = len(document)
        if count > limits.max_pages:
            raise TooLarge(f"more than {limits.max_pages:,} pages")
        bookmarks = _bookmarks(document)
        characters = broken = 0
        for index in range(count):
            text = _text(document, index)
            broken += text is None
            text = _readable(text or "")
            characters += len(text)
            yield Page(number=index + 1, kind="page", title=_in_force(bookmarks, index), text=text)
        if characters < _SCAN_CHARACTERS_PER_PAGE * count:
            _explain_silence(document, characters, broken)
    finally:
        document.close()


def _opened(buffer: ctypes.Array[ctypes.c_char]) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(buffer)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise PasswordNeeded from None
        raise Damaged from None


def _text(document: pypdfium2.PdfDocument, index: int) -> str | None:
    """Text of one page; None if it cannot be loaded, in which case the others can still be read."""
    try:
        page = document.get_page(index)
    except pypdfium2.PdfiumError:
        return None
    try:
        text_page = page.get_textpage()
        text: str = text_page.get_text_range()
        text_page.close()
        return text
    except pypdfium2.PdfiumError:
        return None
    finally:
        page.close()


def _readable(text: str) -> str:
    if "\ufffe" in text:
        text = _JOINT.sub(lambda joint: _joined(joint[1], joint[2], text), text)
    return _BULLET.sub("•", text) if _BULLET_SIGN.search(text) else text


def _joined(left: str, right: str, page: str) -> str:
    """Put a divided word together, keeping the hyphen where it belongs to the word."""
    hyphenated = f"{left}-{right}"
    own_hyphen = not (left[-1:].islower() and right[:1].islower()) or hyphenated in page
    return hyphenated if own_hyphen else left + right


def _bookmarks(document: pypdfium2.PdfDocument) -> list[tuple[int, str]]:
    """Page index and title of the bookmarks, in order of pages; the deepest of a page comes last."""
    found: list[tuple[int, str]] = []
    for bookmark in document.get_toc(max_depth=6):
        destination = bookmark.get_dest()
        index = destination.get_index() if destination else None
        if index is not None:
            found.append((index, bookmark.get_title()))
        if len(found) >= _MOST_BOOKMARKS:
            break
    return sorted(found, key=lambda entry: entry[0])


def _in_force(bookmarks: list[tuple[int, str]], index: int) -> str | None:
    """Title of the first bookmark on the page, else of the last one before it."""
    after = bisect_right(bookmarks, index, key=lambda entry: entry[0])
    if not after:
        return None
    first = bisect_right(bookmarks, index - 1, key=lambda entry: entry[0])
    return bookmarks[first if first < after else after - 1][1]


def _explain_silence(document: pypdfium2.PdfDocument, characters: int, broken: int) -> None:
    """Say why there is next to no text: most pages cannot be loaded, or show pictures, or there is
    nothing.
    """
    if broken * 2 > len(document):
        raise Damaged
    looked_at = range(0, len(document), max(1, len(document) // _PAGES_LOOKED_AT))
    pictures = sum(_has_picture(document, index) for index in looked_at)
    if pictures * 2 >= len(looked_at):
        raise ImageOnly
    if not characters:
        raise Empty


def _has_picture(document: pypdfium2.PdfDocument, index: int) -> bool:
    """True if the page draws an image, or shapes enough to be letters drawn as outlines."""
    try:
        page = document.get_page(index)
    except pypdfium2.PdfiumError:
        return False
    paths = 0
    try:
        for thing in page.get_objects(max_depth=3):
            if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
                return True
            paths += thing.type == pdfium.FPDF_PAGEOBJ_PATH
            if paths > 100:
                return True
        return False
    finally:
        page.close()
