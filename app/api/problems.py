"""Errors as problem JSON (RFC 9457).

``type``, ``title``, ``status``, ``detail`` (what to do), ``code``, and ``request``, the id in the logs.
"""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.errors import AssistantError, InternalError, NotFound, Unavailable
from app.logs import request_id

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "5"  # seconds
STALE_SECONDS = 1.0  # what was not found so soon after a standby was read may only be missing there
log = logging.getLogger(__name__)


def _request() -> str:
    return request_id.get()


class Problem(BaseModel):
    """An error. ``title`` says what happened, ``detail`` what to do next."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["There is no document '0a0f'."])
    status: int = Field(examples=[404])
    detail: str = Field("", examples=["List what there is and take a name from it."])
    code: str = Field(examples=["not-found"])
    request: str = Field(
        default_factory=_request,
        description="The request's id, as in the header X-Request-Id and in the logs.",
        examples=["0d1c8c6e-7d4f-4a58-9df3-7a1c52e1f2aa"],
    )

    @classmethod
    def of(cls, error: AssistantError) -> Problem:
        """One of our errors as a problem."""
        return cls(title=error.message, status=error.status, detail=error.help, code=error.code)


RESPONSES: dict[int | str, dict[str, object]] = {
    "4XX": {"model": Problem, "description": "The request can't be done.", "content": {MEDIA_TYPE: {}}},
    "5XX": {"model": Problem, "description": "A part of the service is away.", "content": {MEDIA_TYPE: {}}},
}


def respond(title: str, status: int, detail: str, code: str) -> JSONResponse:
    """A problem as a response."""
    return _send(Problem(title=title, status=status, detail=detail, code=code))


def of_error(error: AssistantError) -> JSONResponse:
    """One of our errors as a response."""
    return _send(Problem.of(error))


def _send(problem: Problem) -> JSONResponse:
    """What will pass says when to come again."""
    headers = {"Retry-After": RETRY_AFTER} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse(problem.model_dump(), problem.status, headers, MEDIA_TYPE)


def install(api: FastAPI) -> None:
    """Answer every error of this service with a problem."""

    @api.exception_handler(AssistantError)
    async def ours(request: Request, error: AssistantError) -> JSONResponse:
        database = request.app.state.assistant.database
        if isinstance(error, NotFound) and database.stale_since(time.monotonic() - STALE_SECONDS):
            why = "only a copy can be read now, and what is missing in it may be new"
            return of_error(Unavailable(what="PostgreSQL", why=why))
        return of_error(error)

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        detail = "See /openapi.json for what is expected."
        return respond(f"{where}: {first['msg']}.", 422, detail, "invalid-request")

    @api.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> JSONResponse:
        # what the guard raises while a form is read comes wrapped
        cause = error.__cause__ or error.__context__
        if isinstance(cause, AssistantError):
            return of_error(cause)
        phrase = HTTPStatus(error.status_code).phrase
        return respond(str(error.detail), error.status_code, "", phrase.lower().replace(" ", "-"))

    @api.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return of_error(InternalError())
