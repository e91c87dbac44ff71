"""Plain text and Markdown, decoded as a stream and cut into parts."""

from __future__ import annotations

from collections.abc import Iterator

from app.parsing.cleaning import clean
from app.parsing.detect import Kind
from app.parsing.encoding import blocks, encoding_of
from app.parsing.model import Limits, Page, TooLarge, Unsupported
from app.parsing.parts import split_parts
from app.parsing.source import HEAD_BYTES, Source

_MOST_BYTES_PER_CHARACTER = 4


def accepts(_source: Source, kind: Kind) -> bool:
    """Plain text, Markdown and everything that reads as such (AsciiDoc, JSON, logs, source code)."""
    return kind in {Kind.TEXT, Kind.MARKDOWN}


def pages(source: Source, limits: Limits) -> Iterator[Page]:
    """Yield parts of the text as it stands. Raises: TooLarge, Unsupported."""
    for number, text in enumerate(split_parts(decoded(source, limits)), start=1):
        yield Page(number=number, kind="part", title=None, text=text)


def decoded(source: Source, limits: Limits) -> Iterator[str]:
    """Yield the text of a plain file in blocks. Raises: TooLarge, Unsupported (no known encoding)."""
    # Known before any work is done: no encoding needs more bytes than this for a character.
    if source.size > limits.max_characters * _MOST_BYTES_PER_CHARACTER:
        raise TooLarge(f"more than {limits.max_characters:,} characters")
    encoding = encoding_of(source.head, whole=source.size <= HEAD_BYTES)
    if encoding is None:
        raise Unsupported
    yield from (clean(block) for block in blocks(source.file, encoding))
