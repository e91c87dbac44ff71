"""What routes ask for, by type."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from app.assistant import Assistant
from app.ingestion.queue import Job
from app.stores.knowledge_bases import KnowledgeBase


def get_assistant(request: Request) -> Assistant:
    """The assistant that the service opened when it started."""
    assistant: Assistant = request.app.state.assistant
    return assistant


TheAssistant = Annotated[Assistant, Depends(get_assistant)]


async def get_knowledge_base(knowledge_base: str, assistant: TheAssistant) -> KnowledgeBase:
    """The knowledge base that the path names."""
    return await assistant.knowledge_bases.get(knowledge_base)


async def get_job(job_id: int, assistant: TheAssistant) -> Job:
    """The job that the path names; looked up before a stream about it begins."""
    return await assistant.queue.get(job_id)


TheJob = Annotated[Job, Depends(get_job)]
TheKnowledgeBase = Annotated[KnowledgeBase, Depends(get_knowledge_base)]
