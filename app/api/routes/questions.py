"""Searching and asking."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.answering.events import Cited, Done, Restarted, Sources, Token
from app.api.deps import TheAssistant, TheKnowledgeBase
from app.api.guard import FAILED
from app.api.problems import Problem
from app.api.schemas import AskIn, DegradedOut, PassageOut, SearchIn, SearchOut, plain
from app.errors import AssistantError, InternalError

log = logging.getLogger(__name__)
router = APIRouter(prefix="/knowledge-bases/{knowledge_base}", tags=["questions"])
EVENT_NAMES = {Sources: "sources", Token: "token", Cited: "citation", Restarted: "restart", Done: "done"}


@router.post("/search")
async def search(found: TheKnowledgeBase, wanted: SearchIn, assistant: TheAssistant) -> SearchOut:
    """The passages that suit a question best, with the ranks and scores that explain their order."""
    result = await assistant.search(found.name, wanted.question, wanted.limit)
    return SearchOut(
        passages=[PassageOut.model_validate(passage) for passage in result.passages],
        seconds=result.seconds,
        degraded=[DegradedOut(reason=reason, sentence=sentence) for reason, sentence in result.degraded],
    )


@router.post("/ask", response_class=EventSourceResponse)
async def ask(
    found: TheKnowledgeBase, wanted: AskIn, assistant: TheAssistant, request: Request
) -> AsyncIterator[ServerSentEvent]:
    """An answer as server-sent events.

    ``sources`` once, then ``token`` and ``citation`` mixed, then ``done`` with the whole answer. ``restart``
    takes back what came before it. ``error`` ends the stream with a problem.
    """
    try:
        async with aclosing(assistant.ask(found.name, wanted.question)) as events:
            async for event in events:
                yield ServerSentEvent(event=EVENT_NAMES[type(event)], data=plain(event))
    except AssistantError as error:
        yield _failed(request, error)
    except Exception:
        log.exception("a question failed")
        yield _failed(request, InternalError())


def _failed(request: Request, error: AssistantError) -> ServerSentEvent:
    setattr(request.state, FAILED, error.status)
    return ServerSentEvent(event="error", data=Problem.of(error))
