"""EPUB books: the chapters in reading order."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import count
from urllib.parse import unquote

from app.parsing.archive import Archive, opened
from app.parsing.cleaning import one_line
from app.parsing.detect import Kind
from app.parsing.formats.web import decode_html
from app.parsing.markup import parse_html, to_markdown
from app.parsing.model import Damaged, Limits, Page, Unsupported
from app.parsing.parts import split_parts
from app.parsing.source import Source
from app.parsing.xmltools import Element, child, children, descendants, parse_xml, text_of

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_CHAPTER_TYPES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})


def accepts(_source: Source, kind: Kind) -> bool:
    """EPUB 2 and 3."""
    return kind is Kind.EPUB


def pages(source: Source, _limits: Limits) -> Iterator[Page]:
    """Yield the chapters in parts; a part's title is the chapter's, else the book's. Raises: Damaged,
    Unsupported.
    """
    with opened(source) as archive:
        folder, book = _book(archive)
        title = one_line(text_of(next(descendants(book, "title"), None))) or None
        locked = _locked(archive)
        numbers = count(1)
        for name in _spine(folder, book):
            if name in locked:
                raise Unsupported("A book with copy protection", "Upload an edition without it.")
            if name not in archive:
                continue
            root = parse_html(decode_html(archive.read(name)).encode("utf-8", errors="replace"))
            for part in split_parts(to_markdown(root)):
                title = _chapter_title(part) or title
                yield Page(number=next(numbers), kind="part", title=title, text=part)


def _chapter_title(part: str) -> str | None:
    """The heading that a part begins with."""
    first = part.split("\n", 1)[0]
    return first.lstrip("#").strip() if first.startswith("#") else None


def _book(archive: Archive) -> tuple[str, Element]:
    """Folder and root of the package document that the container names."""
    container = parse_xml(archive.read(_CONTAINER))
    root_file = next(descendants(container, "rootfile"), None)
    path = str(root_file.get("full-path", "")) if root_file is not None else ""
    if path not in archive:
        raise Damaged
    return posixpath.dirname(path), parse_xml(archive.read(path))


def _spine(folder: str, book: Element) -> Iterator[str]:
    items = {
        str(item.get("id")): posixpath.normpath(posixpath.join(folder, unquote(str(item.get("href", "")))))
        for item in children(child(book, "manifest"), "item")
        if item.get("media-type") in _CHAPTER_TYPES
    }
    for reference in children(child(book, "spine"), "itemref"):
        name = items.pop(str(reference.get("idref")), None)
        if name is not None:
            yield name


def _locked(archive: Archive) -> set[str]:
    """Names of the entries that are encrypted; obfuscated fonts are among them and do no harm."""
    if _ENCRYPTION not in archive:
        return set()
    listed = parse_xml(archive.read(_ENCRYPTION))
    return {unquote(str(found.get("URI", ""))) for found in descendants(listed, "CipherReference")}
