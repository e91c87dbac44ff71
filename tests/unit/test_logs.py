"""Lines for machines: one object each, whatever is said, and nothing of what exceptions quote."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.logs import JsonFormatter, request_id

PLANTED = "the heron sleeps at noon"


class Lines:
    """A logger and what it has written."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(JsonFormatter())
        self.log = logging.Logger("app.tried")
        self.log.addHandler(handler)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def request_named() -> Iterator[str]:
    token = request_id.set("0d1c8c6e-7d4f")
    yield "0d1c8c6e-7d4f"
    request_id.reset(token)


def fail() -> None:
    raise ValueError(PLANTED)


def fail_because() -> None:
    try:
        fail()
    except ValueError as error:
        raise RuntimeError(f"cannot read {PLANTED}") from error


@pytest.mark.parametrize("said", ["two\nlines", '"quoted" \\', "\x00\x1b[31m", "\u2028", "ø 漢", "\ud800"])
def test_whatever_is_said_stays_on_one_line_and_can_be_read_back(lines: Lines, said: str) -> None:
    lines.log.warning("it said %s", said)
    assert len(lines.text.split("\n")) == 2
    (line,) = (json.loads(line) for line in lines.text.split("\n")[:-1])
    assert line["message"] == f"it said {said}"
    assert (line["level"], line["logger"]) == ("warning", "app.tried")
    assert line["time"].endswith("+00:00")
    lines.text.encode()


def test_a_line_bears_the_id_of_the_request_under_way_and_otherwise_none(
    lines: Lines, request_named: str
) -> None:
    lines.log.warning("within")
    request_id.set("")
    lines.log.warning("outside")
    within, outside = lines.all()
    assert within["request"] == request_named
    assert "request" not in outside


def test_an_exception_is_told_by_its_kinds_and_places_and_never_by_its_words(lines: Lines) -> None:
    try:
        fail_because()
    except RuntimeError:
        lines.log.exception("it could not be read")
    (line,) = lines.all()
    assert line["error"] == "RuntimeError from ValueError"
    assert [place.split()[-1] for place in line["trace"]] == [
        "fail_because",
        "fail",
        "test_an_exception_is_told_by_its_kinds_and_places_and_never_by_its_words",
        "fail_because",
    ]
    assert "test_logs.py:" in line["trace"][0]
    assert PLANTED not in lines.text


def test_what_the_operating_system_says_is_kept(lines: Lines) -> None:
    try:
        Path("/nowhere/at/all").stat()
    except OSError:
        lines.log.exception("no file")
    assert lines.all()[0]["error"] == "FileNotFoundError (No such file or directory)"


def test_words_of_an_exception_that_others_put_into_their_message_are_left_out(lines: Lines) -> None:
    async def forget() -> None:
        task = asyncio.ensure_future(asyncio.to_thread(fail))
        await asyncio.wait({task})

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: lines.log.error(
                "%s\nfuture: %r", context["message"], context["future"], exc_info=context["exception"]
            )
        )
        await forget()

    asyncio.run(run())
    (line,) = lines.all()
    assert line["message"].startswith("Task exception was never retrieved")
    assert PLANTED not in lines.text
