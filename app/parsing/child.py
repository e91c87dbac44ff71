"""One document in its own process: read it page by page and send each page off."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any

from app.parsing.dispatch import Format, pages
from app.parsing.frames import encode, error_message, page_message
from app.parsing.model import Limits, Unreadable
from app.parsing.source import from_file

EXIT_OK = 0
EXIT_CRASHED = 1
EXIT_MEMORY = 3
EXIT_NO_READER = 4


def run(document: int, stream: int, name: str, limits: Limits, formats: Iterable[Format]) -> int:
    """Read the document open at ``document``, write frames to the socket ``stream``; return the exit code."""
    try:
        with socket.socket(fileno=stream) as out:
            _send_pages(out, document, name, limits, formats)
    except MemoryError:
        return EXIT_MEMORY
    except OSError:
        return EXIT_NO_READER
    return EXIT_OK


def _send_pages(
    out: socket.socket, document: int, name: str, limits: Limits, formats: Iterable[Format]
) -> None:
    last: Mapping[str, Any] = {"type": "end"}
    # The descriptor belongs to the process and is closed with it.
    with open(document, "rb", closefd=False) as file:
        try:
            for page in pages(from_file(file, name), limits, formats):
                out.sendall(encode(page_message(page)))
        except Unreadable as error:
            last = error_message(error)
    out.sendall(encode(last))
