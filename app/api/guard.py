"""What every request passes: a check of where it comes from, a limit of its size, and the counting.

The service has no log-in of its own yet and listens on loopback by default. A page of another web site
could still send requests to it from the user's browser, so those must name a host and an origin of ours.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import problems
from app.api.traffic import Traffic
from app.errors import AssistantError
from app.metrics import REQUEST_SECONDS, REQUESTS

FAILED = "failed"  # of a request's state: the status of what ended an answer that had begun with 200
FORM_OVERHEAD = 64 * 1024  # bytes of a form around the file in it
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class UploadTooLarge(AssistantError):
    """The upload is larger than {limit:,} bytes."""

    status = 413
    advice = "Split the document, or raise server.max_upload_bytes in the settings."


class StrangeHost(AssistantError):
    """This service does not answer for the host '{host}'."""

    status = 421
    advice = "Add it to server.allowed_hosts in the settings if it is yours."


class StrangeOrigin(AssistantError):
    """Requests from pages of {origin} are not taken."""

    status = 403
    advice = "Add its host to server.allowed_hosts in the settings if it is yours."


class Guard:
    """ASGI middleware around the whole service."""

    def __init__(
        self, app: ASGIApp, *, allowed_hosts: Sequence[str], max_upload_bytes: int, traffic: Traffic
    ) -> None:
        self._app = app
        self._traffic = traffic
        self._hosts = set(allowed_hosts)
        self._limit = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, count and pass on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if (fault := self._fault(headers)) is not None:
            await problems.of_error(fault)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        with self._traffic.request(scope["path"]):
            await self._counted(scope, self._limited(receive), send)

    def _fault(self, headers: dict[bytes, str]) -> AssistantError | None:
        host = urlsplit(f"//{headers.get(b'host', '')}").netloc
        if not self._allowed(host):
            return StrangeHost(host=host)
        origin = headers.get(b"origin")
        if origin and origin != "null" and not self._allowed(urlsplit(origin).netloc):
            return StrangeOrigin(origin=origin)
        if int(headers.get(b"content-length") or 0) > self._limit + FORM_OVERHEAD:
            return UploadTooLarge(limit=self._limit)
        return None

    def _allowed(self, netloc: str) -> bool:
        name = netloc.rsplit(":", 1)[0] if not netloc.endswith("]") else netloc
        return "*" in self._hosts or name.lower() in self._hosts

    def _limited(self, receive: Receive) -> Receive:
        """The same stream, ended by an error once it is longer than allowed."""
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit + FORM_OVERHEAD:
                raise UploadTooLarge(limit=self._limit)
            return message

        return limited

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 500
        state = scope.setdefault("state", {})

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = _declared_path(scope)
            method = scope["method"] if scope["method"] in METHODS else "other"
            REQUESTS.labels(method, route, str(state.get(FAILED, status))).inc()
            REQUEST_SECONDS.labels(route).observe(time.perf_counter() - started)


def _declared_path(scope: Scope) -> str:
    """The path as it is declared, so that ids in it make no new series; known once it was handled."""
    context = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(context, "path_format", "ui"))
