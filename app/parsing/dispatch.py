"""Which parser reads a document, and what is done to every page whatever parser it came from."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Protocol, cast

from app.parsing.cleaning import has_words, tidy, title
from app.parsing.detect import Kind, detect
from app.parsing.model import Damaged, Empty, Limits, Page, TooLarge, Unreadable
from app.parsing.source import Source

FORMATS = (
    "app.parsing.formats.pdf",
    "app.parsing.formats.plain",
    "app.parsing.formats.word",
    "app.parsing.formats.web",
    "app.parsing.formats.mail",
    "app.parsing.formats.opendocument",
    "app.parsing.formats.book",
    "app.parsing.formats.slides",
    "app.parsing.formats.sheets",
    "app.parsing.formats.table",
)


class Format(Protocol):
    """A module that reads one family of formats."""

    def accepts(self, source: Source, kind: Kind) -> bool:
        """Tell whether this module reads documents of ``kind``."""

    def pages(self, source: Source, limits: Limits) -> Iterator[Page]:
        """Yield the pages one by one. Raises: Unreadable."""


def load(names: Iterable[str] = FORMATS) -> list[Format]:
    """Import the format modules ``names``, and with them the libraries they need."""
    return [cast("Format", importlib.import_module(name)) for name in names]


def pages(source: Source, limits: Limits, formats: Iterable[Format]) -> Iterator[Page]:
    """Yield the cleaned pages of a document, in order. Pages without text are kept, to keep the numbers.

    Raises: Unreadable, and nothing else: what a parser did not foresee counts as damage, except for running
    out of memory.
    """
    try:
        yield from _checked(source, limits, formats)
    except (Unreadable, GeneratorExit):
        raise
    except MemoryError:
        raise TooLarge from None
    except RecursionError:
        raise TooLarge("it is nested too deeply") from None
    except Exception as error:
        raise Damaged from error


def _checked(source: Source, limits: Limits, formats: Iterable[Format]) -> Iterator[Page]:
    kind = detect(source)
    chosen = next(format_ for format_ in formats if format_.accepts(source, kind))
    characters, count, words = 0, 0, False
    with closing(cast("_Closable", chosen.pages(source, limits))) as found:
        for page in found:
            text = tidy(page.text)
            characters += len(text)
            count += 1
            words = words or has_words(text)
            if characters > limits.max_characters:
                raise TooLarge(f"more than {limits.max_characters:,} characters")
            if count > limits.max_pages:
                raise TooLarge(f"more than {limits.max_pages:,} pages")
            yield Page(number=page.number, kind=page.kind, title=title(page.title), text=text)
    if not words:
        raise Empty


class _Closable(Protocol):
    def __iter__(self) -> Iterator[Page]: ...

    def close(self) -> None: ...
