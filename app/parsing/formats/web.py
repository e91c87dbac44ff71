"""HTML pages saved as files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.parsing.detect import Kind
from app.parsing.encoding import by_mark, encoding_of
from app.parsing.markup import main_part, page_title, parse_html, to_markdown
from app.parsing.model import Limits, Page, TooLarge, Unsupported
from app.parsing.parts import split_parts
from app.parsing.source import HEAD_BYTES, Source

_CHARSET = re.compile(
    rb"""<meta[^>]{0,300}?charset\s*=\s*["']?\s*([\w-]+)"""
    rb"""|<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w-]+)""",
    re.IGNORECASE,
)
_MOST_BYTES = 64 * 1024**2


def accepts(_source: Source, kind: Kind) -> bool:
    """HTML and XHTML."""
    return kind is Kind.HTML


def pages(source: Source, _limits: Limits) -> Iterator[Page]:
    """Yield the main text as parts. Raises: Damaged, TooLarge, Unsupported."""
    if source.size > _MOST_BYTES:
        raise TooLarge(f"more than {_MOST_BYTES // 1024**2} MB of HTML")
    source.file.seek(0)
    text = decode_html(source.file.read(), whole=source.size <= HEAD_BYTES)
    root = parse_html(text.encode("utf-8", errors="replace"))
    title = page_title(root)
    for number, part in enumerate(split_parts(to_markdown(main_part(root))), start=1):
        yield Page(number=number, kind="part", title=title, text=part)


def decode_html(data: bytes, *, whole: bool = True) -> str:
    """Decode by byte order mark, by what the page declares if that works, else by what it looks like."""
    declared = _CHARSET.search(data[:4096])
    if declared and not by_mark(data[:4]):
        name = (declared[1] or declared[2]).decode("ascii")
        try:
            return data.decode("cp1252" if name.lower() in {"iso-8859-1", "us-ascii"} else name)
        except (UnicodeDecodeError, LookupError):
            pass
    encoding = encoding_of(data[:HEAD_BYTES], whole)
    if encoding is None:
        raise Unsupported
    return data.decode(encoding, errors="replace")
