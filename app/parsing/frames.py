"""The few messages between the service and its parsers: length and JSON, nothing that could carry code.

A document's parser writes frames to its own stream socket: four bytes of length (big-endian), then a JSON
object with a ``type``: ``page`` (number, kind, title, text), ``error`` (reason, details) or ``end``. Both
sides of the control socket exchange one JSON object per packet. Everything that comes from a parser is
checked here as data of a stranger.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from app.parsing.model import PAGE_KINDS, Page, PageKind, Unreadable

HEADER = struct.Struct(">I")
MOST_FRAME_BYTES = 128 * 1024**2
MOST_CONTROL_BYTES = 8192
_TEXT_DETAIL = 300


class BadFrame(Exception):
    """The parser sent something that is not a frame."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as a frame, header included."""
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", errors="replace")
    return HEADER.pack(len(body)) + body


def page_message(page: Page) -> dict[str, Any]:
    """Return the message that carries ``page``."""
    return {"type": "page", "number": page.number, "kind": page.kind, "title": page.title, "text": page.text}


def error_message(error: Unreadable) -> dict[str, Any]:
    """Return the message that carries the reason of ``error`` and the details of its sentence."""
    return {"type": "error", "reason": error.reason, "details": {k: str(v) for k, v in error.details.items()}}


def decode(body: bytes) -> dict[str, Any]:
    """Return the object in a frame's body. Raises: BadFrame."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadFrame from error
    if not isinstance(message, dict):
        raise BadFrame
    return message


def to_page(message: Mapping[str, Any]) -> Page:
    """Return the page in a ``page`` message. Raises: BadFrame when a field is missing or wrong."""
    number, kind, title, text = (message.get(key) for key in ("number", "kind", "title", "text"))
    if not isinstance(number, int) or number < 1 or kind not in PAGE_KINDS:
        raise BadFrame
    if not isinstance(text, str) or not (title is None or isinstance(title, str)) or "\x00" in text:
        raise BadFrame
    known: PageKind = kind
    return Page(number=number, kind=known, title=title, text=text)


def to_error(message: Mapping[str, Any]) -> Unreadable:
    """Return the error in an ``error`` message. Raises: BadFrame when it is not one of ours."""
    details = message.get("details")
    try:
        if not isinstance(details, dict):
            raise BadFrame
        return Unreadable.of(
            str(message.get("reason")), {k: str(v)[:_TEXT_DETAIL] for k, v in details.items()}
        )
    except (TypeError, KeyError, ValueError) as error:
        raise BadFrame from error


def encode_control(message: Mapping[str, Any]) -> bytes:
    """Return a message of the control socket as one packet."""
    return json.dumps(message, ensure_ascii=False).encode("utf-8", errors="replace")
