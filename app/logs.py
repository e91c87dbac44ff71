"""Log lines: for people, or as JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

# Libraries that tell more than anybody wants to know at their "info".
QUIET = ("httpx", "httpcore", "openai", "chromadb", "procrastinate", "botocore", "boto3", "urllib3", "PIL")
# The request that is under way, or that queued the job which is; see app/api/request_ids.py.
request_id: ContextVar[str] = ContextVar("request_id", default="")
FRAMES = 8  # of each exception, the innermost


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, and, where there is one,
    ``request``, ``error`` and ``trace``.

    ``error`` names the types of an exception and of its causes, ``trace`` the places in the code, the cause's
    first. What exceptions say is left out: libraries quote what they were given, and that may be a document.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            line["request"] = request
        if record.exc_info and record.exc_info[1] is not None:
            # others, such as asyncio, put the exception's words on further lines of the message
            line["message"] = record.getMessage().partition("\n")[0]
            chain = list(_causes(record.exc_info[1]))
            line["error"] = " from ".join(map(_kind, chain))
            line["trace"] = [place for error in reversed(chain) for place in _places(error)]
        return json.dumps(line)


def set_up(level: str, kind: Literal["text", "json"]) -> None:
    """Send everything to standard error, warnings of libraries too."""
    handler = logging.StreamHandler(sys.stderr)
    if kind == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def tell(sentence: str, *, failed: bool = False) -> None:
    """Say something to whoever started this: on the terminal, or as a line of the log where that is JSON."""
    handlers = logging.getLogger().handlers
    if any(isinstance(handler.formatter, JsonFormatter) for handler in handlers):
        logging.getLogger("app").log(logging.ERROR if failed else logging.INFO, "%s", sentence)
    else:
        print(sentence, file=sys.stderr if failed else sys.stdout, flush=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, then what it came from."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)


def _kind(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    # what the operating system says holds no data
    return f"{name} ({error.strerror})" if isinstance(error, OSError) and error.strerror else name


def _places(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__)[-FRAMES:]:
        yield f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}"
