"""Jobs, and their progress as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.api.deps import TheAssistant, TheJob
from app.api.schemas import DocumentOut, JobOut, JobProgress
from app.assistant import Assistant
from app.errors import NotFound
from app.ingestion.queue import JobState

router = APIRouter(prefix="/jobs", tags=["jobs"])
POLL = 0.4  # seconds between two looks at a job that is being done
ENDED = {"succeeded", "failed", "cancelled", "aborted"}


@router.get("")
async def list_jobs(
    assistant: TheAssistant,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[JobOut]:
    """Jobs, newest first."""
    return [JobOut.model_validate(job) for job in await assistant.queue.all(state, limit=limit)]


@router.get("/{job_id}")
async def get_job(job_id: int, assistant: TheAssistant) -> JobProgress:
    """One job with its document."""
    return await _progress(assistant, job_id)


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def follow_job(job: TheJob, assistant: TheAssistant) -> AsyncIterator[ServerSentEvent]:
    """Progress as server-sent events: ``progress`` at each change, ``done`` at the end."""
    last: JobProgress | None = None
    while True:
        now = await _progress(assistant, job.id)
        ended = now.job.state in ENDED
        if now != last or ended:
            yield ServerSentEvent(event="done" if ended else "progress", data=now)
        if ended:
            return
        last = now
        await asyncio.sleep(POLL)


async def _progress(assistant: Assistant, job_id: int) -> JobProgress:
    job = await assistant.queue.get(job_id)
    document = None
    if job.document_id is not None:
        try:
            document = DocumentOut.model_validate(await assistant.documents.get(job.document_id))
        except NotFound:
            document = None
    return JobProgress(job=JobOut.model_validate(job), document=document)
