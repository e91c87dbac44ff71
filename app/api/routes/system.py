"""How the service is: for load balancers, for Prometheus, for people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from app.api.deps import TheAssistant
from app.api.schemas import Ready, Version
from app.api.traffic import Traffic
from app.errors import AssistantError
from app.metrics import Momentary, exposition
from app.release import release

router = APIRouter(tags=["system"])
PATIENCE = 3  # seconds for a part to answer


@router.get("/healthz")
async def health() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": Ready, "description": "Send no requests here now."}})
async def ready(request: Request, assistant: TheAssistant) -> JSONResponse:
    """Whether requests should be sent here, and each part with its reason.

    What questions can be answered without does not count: the vector index (words alone find passages then),
    the object store (uploads and downloads get 503), a primary to write to while the database can be read.
    """
    traffic: Traffic = request.app.state.traffic
    checks = {
        "database": assistant.database.check(),
        "objects": assistant.objects.check(),
        "chroma": assistant.index.check(),
    }
    results = await asyncio.gather(*(_state(check) for check in checks.values()))
    parts = dict(zip(checks, results, strict=True))
    if request.app.state.draining:
        parts["service"] = "draining: it is about to stop"
    elif names := traffic.drained_by:
        parts["service"] = f"drained: {', '.join(names)}"
    needed = {parts["database"], parts.get("service", "ok")}
    answer = Ready(
        ready=needed == {"ok"}, parts=parts, under_way=traffic.under_way, idle_seconds=traffic.idle_seconds
    )
    if assistant.database.reads_only:
        parts["database"] = "read only: its primary is away"
    return JSONResponse(answer.model_dump(), 200 if answer.ready else 503)


@router.get("/version")
async def version() -> Version:
    """What is running."""
    return Version.model_validate(release(), from_attributes=True)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(assistant: TheAssistant) -> Response:
    """Figures for Prometheus."""
    momentary = Momentary(await assistant.documents.counts(), await assistant.queue.oldest_waiting_seconds())
    text = await asyncio.to_thread(exposition, momentary)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _state(check: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await check
    except AssistantError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {PATIENCE} seconds"
    return "ok"
