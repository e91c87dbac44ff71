"""One id for a request: in the load balancer's log, in each line of ours about it, and in the answer."""

from __future__ import annotations

import logging
import re
import time
from http import HTTPStatus
from urllib.parse import quote
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import request_id

HEADER = b"x-request-id"
READING = frozenset({"GET", "HEAD", "OPTIONS"})  # which is noted only when it fails on our side
log = logging.getLogger(__name__)
_USUAL = re.compile(rb"[0-9A-Za-z-]{8,64}")


class RequestIds:
    """ASGI middleware; takes the id of the header ``X-Request-Id``, or makes one if that is missing or odd.

    It has to be the outermost, so that what answers after everything else has failed knows the id too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the id while the request is under way, and note what came of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"")
        name = given if _USUAL.fullmatch(given) else uuid4().hex.encode()
        # the UI's events are done elsewhere, and know their request by its headers
        others = [(key, value) for key, value in scope["headers"] if key != HEADER]
        scope = {**scope, "headers": [*others, (HEADER, name)]}
        status = 0
        started = time.perf_counter()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (HEADER, name)]
            await send(message)

        token = request_id.set(name.decode())
        try:
            await self._app(scope, receive, named)
        finally:
            _note(scope, status, time.perf_counter() - started)
            request_id.reset(token)


def _note(scope: Scope, status: int, seconds: float) -> None:
    """One line, without what follows the path: that may be what somebody looks for."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        level = logging.WARNING
    else:
        level = logging.DEBUG if scope["method"] in READING else logging.INFO
    what = f"{scope['method']} {quote(scope['path'])}"
    log.log(level, "%s is answered by %s after %.3f s", what, status or "nothing", seconds)
