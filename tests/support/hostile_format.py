"""A format only for tests: text that begins with HOSTILE: tells its parser what harm to try."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.parsing.detect import Kind
from app.parsing.model import Limits, Page
from app.parsing.source import Source

_MARK = b"HOSTILE:"


def accepts(source: Source, kind: Kind) -> bool:
    return source.head.startswith(_MARK)


def pages(source: Source, limits: Limits) -> Iterator[Page]:
    order, _, argument = source.head.removeprefix(_MARK).decode().partition(" ")
    yield Page(1, "page", None, f"about to {order}")
    yield Page(2, "page", None, _ORDERS[order](argument))
    if order == "flood":
        for number in range(3, 10**9):
            yield Page(number, "page", None, "x" * 10_000)


def _eat(argument: str) -> str:
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024**2))


def _eat_in_library(argument: str) -> str:
    """Take memory as a C library does that aborts when it gets none."""
    malloc: Any = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    while place := malloc(ctypes.c_size_t(4 * 1024**2)):
        ctypes.memset(place, 1, 4 * 1024**2)
    os.abort()


def _loop(argument: str) -> str:
    while True:
        pass


def _sleep(argument: str) -> str:
    time.sleep(600)
    return ""


def _crash(argument: str) -> str:
    ctypes.string_at(0)
    return ""


def _leave(argument: str) -> str:
    os._exit(0)


def _babble(argument: str) -> str:
    """Write rubbish to whatever sockets there are."""
    for fd in range(3, 64):
        try:
            os.write(fd, b"\x00\x00\x00\x08garbage!")
        except OSError:
            continue
    return ""


def _read(argument: str) -> str:
    try:
        return f"read {len(Path(argument).read_bytes())} bytes"
    except OSError as error:
        return f"refused: {type(error).__name__}"


def _write(argument: str) -> str:
    try:
        Path(argument).write_text("harm")
    except OSError as error:
        return f"refused: {type(error).__name__}"
    return "written"


def _connect(argument: str) -> str:
    host, port = argument.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2):
            return "connected"
    except OSError as error:
        return f"refused: {type(error).__name__}"


def _environment(argument: str) -> str:
    return " ".join(sorted(os.environ))


def _files(argument: str) -> str:
    """Kinds of the descriptors that are open, but for the standard ones."""
    kinds = []
    for fd in range(3, 64):
        try:
            kinds.append("socket" if os.fstat(fd).st_mode & 0o170000 == 0o140000 else "file")
        except OSError:
            continue
    return " ".join(kinds)


def _raise(argument: str) -> str:
    raise RuntimeError("</script> a library's own words")


_ORDERS: dict[str, Callable[[str], str]] = {
    "eat": _eat,
    "eat-in-library": _eat_in_library,
    "loop": _loop,
    "sleep": _sleep,
    "crash": _crash,
    "leave": _leave,
    "babble": _babble,
    "read": _read,
    "write": _write,
    "connect": _connect,
    "environment": _environment,
    "files": _files,
    "raise": _raise,
    "flood": lambda argument: "x",
}
