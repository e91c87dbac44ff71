"""Mail (EML): headers, the text that was written, and what was attached."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_binary_file
from email.header import Header, decode_header
from email.message import Message
from email.policy import compat32
from typing import TypeAlias

from app.parsing.cleaning import one_line
from app.parsing.detect import Kind
from app.parsing.encoding import encoding_of
from app.parsing.formats.web import decode_html
from app.parsing.markup import parse_html, to_markdown
from app.parsing.model import Limits, Page, TooLarge, Unreadable
from app.parsing.parts import split_parts
from app.parsing.source import Source

_SHOWN = ("Subject", "From", "To", "Cc", "Date")
_MOST_BYTES = 128 * 1024**2
_DEEPEST = 20

_Mail: TypeAlias = "Message[str, str]"


def accepts(_source: Source, kind: Kind) -> bool:
    """Messages as mail programs save them, web archives (MHTML) too."""
    return kind is Kind.EML


def pages(source: Source, _limits: Limits) -> Iterator[Page]:
    """Yield the message in parts: headers, body, attachments that are text, names of the others. Raises:
    TooLarge.
    """
    if source.size > _MOST_BYTES:
        raise TooLarge(f"more than {_MOST_BYTES // 1024**2} MB of mail")
    source.file.seek(0)
    # The newer policies raise on headers that are not as they should be.
    message: _Mail = message_from_binary_file(source.file, policy=compat32)
    title = _header(message, "Subject")
    for number, text in enumerate(split_parts(_message(message, 0)), start=1):
        yield Page(number=number, kind="part", title=title, text=text)


def _message(message: _Mail, depth: int) -> Iterator[str]:
    headers = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    yield "\n".join(headers) + "\n\n"
    attached: list[str] = []
    yield from _part(message, attached, depth)
    if attached:
        yield "Attachments: " + ", ".join(attached) + "\n\n"


def _part(part: _Mail, attached: list[str], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    kind = part.get_content_type()
    if part.is_multipart():
        yield from _several(part, kind, attached, depth)
        return
    name = _file_name(part)
    if name:
        attached.append(name)
        if kind in {"text/plain", "text/markdown", "text/csv", "text/html"}:
            yield f"## Attachment: {name}\n\n"
            yield from _text(part, kind)
    elif kind in {"text/plain", "text/html", "text/markdown"}:
        yield from _text(part, kind)
    elif not kind.startswith(("text/", "multipart/")) and part.get_content_disposition() == "attachment":
        attached.append(kind)


def _several(part: _Mail, kind: str, attached: list[str], depth: int) -> Iterator[str]:
    children = [child for child in part.get_payload() if isinstance(child, Message)]
    if kind == "multipart/alternative":
        best = _alternative(children)
        yield from _part(best, attached, depth + 1) if best is not None else ()
    elif kind == "message/rfc822":
        for child in children:
            yield "## Forwarded message\n\n"
            yield from _message(child, depth + 1)
    else:
        for child in children:
            yield from _part(child, attached, depth + 1)


def _alternative(children: list[_Mail]) -> _Mail | None:
    """The plain text, unless there is none in it; else the last, which is the richest."""
    for child in children:
        if child.get_content_type() == "text/plain" and "".join(_text(child, "text/plain")).strip():
            return child
    return children[-1] if children else None


def _text(part: _Mail, kind: str) -> Iterator[str]:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes) or not data.strip():
        return
    if kind == "text/html":
        try:
            yield from to_markdown(
                parse_html(_decoded(part, data, html=True).encode("utf-8", errors="replace"))
            )
        except Unreadable:
            return
    else:
        yield _decoded(part, data).replace("\r\n", "\n").strip("\n") + "\n\n"


def _decoded(part: _Mail, data: bytes, *, html: bool = False) -> str:
    charset = part.get_content_charset()
    try:
        if charset:
            return data.decode(charset)
    except (LookupError, UnicodeDecodeError):
        pass
    return (
        decode_html(data)
        if html
        else data.decode(encoding_of(data, whole=True) or "latin-1", errors="replace")
    )


def _file_name(part: _Mail) -> str:
    return _decoded_header(part.get_filename() or "")


def _header(message: _Mail, name: str) -> str:
    return _decoded_header(message.get(name, ""))


def _decoded_header(value: str | Header) -> str:
    """A header's text; where it breaks the rules of RFC 2047, as near as one can get."""
    raw = value.encode() if isinstance(value, Header) and not _has_raw_bytes(value) else str(value)
    try:
        pieces = decode_header(value if isinstance(value, Header) else raw)
    except ValueError:
        return one_line(raw)
    return one_line("".join(_piece(text, charset) for text, charset in pieces))


def _has_raw_bytes(value: Header) -> bool:
    return any(charset == "unknown-8bit" for _, charset in decode_header(value))


def _piece(text: str | bytes, charset: str | None) -> str:
    data = text if isinstance(text, bytes) else text.encode("utf-8", errors="surrogateescape")
    if charset and charset != "unknown-8bit":
        try:
            return data.decode(charset)
        except (LookupError, UnicodeDecodeError):
            pass
    return data.decode(encoding_of(data, whole=True) or "latin-1", errors="replace")
