"""One id for a request: in the load balancer's log, in each line of ours about it, and in the answer."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import request_id

HEADER = b"x-request-id"
log = logging.getLogger(__name__)
_USUAL = re.compile(rb"[0-9A-Za-z-]{8,64}")


class RequestIds:
    """ASGI middleware; takes the id of the header ``X-Request-Id``, or makes one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the id while the request is under way, and note what fails on our side."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"")
        name = given if _USUAL.fullmatch(given) else uuid4().hex.encode()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (HEADER, name)]
                if message["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    log.warning("%s %s is answered by %d", scope["method"], scope["path"], message["status"])
            await send(message)

        token = request_id.set(name.decode())
        try:
            await self._app(scope, receive, named)
        finally:
            request_id.reset(token)
