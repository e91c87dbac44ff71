"""The screen that asks: a question, its answer as it comes in, and what was asked before."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from app.answering.events import Token
from app.assistant import Assistant
from app.errors import AssistantError, InternalError
from app.metrics import REQUESTS
from app.ui.faults import keep_request_id, told
from app.ui.render import answer as render
from app.ui.render.answer import Turn
from app.ui.render.documents import welcome
from app.ui.stopping import Stops, until
from app.ui.theme import beside

LONGEST = 4000  # characters of a question
ROUTE = "/ui/ask"  # what questions of the UI count as, since all its events come in by one route
_PAUSE = 0.08  # seconds between two pictures of a growing answer
_KEPT = 50  # turns of one session
Turns = list[tuple[Turn, str]]  # with the panels of each turn's sources
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AskTab:
    """The parts that other screens reach."""

    welcome: gr.Column
    samples: gr.Button
    own: gr.Button
    summary: gr.HTML
    suggestions: gr.HTML


def make(assistant: Callable[[], Assistant], base: gr.Dropdown) -> AskTab:
    """Lay out the screen and connect it; ``base`` holds the name of the knowledge base that is asked."""
    turns = gr.State(list[tuple[Turn, str]]())
    with gr.Column(visible=False, elem_id="welcome") as start:
        gr.HTML(welcome(), apply_default_css=False)
        with gr.Row(elem_classes="start"):
            samples = gr.Button("Load the sample documents", variant="primary")
            own = gr.Button("Add your own")
    with gr.Row(elem_id="question"):
        box = gr.Textbox(
            placeholder="Ask a question",
            label="Your question",
            show_label=False,
            lines=1,
            max_lines=5,
            max_length=LONGEST,
            scale=1,
            container=False,
            autofocus=True,
            elem_id="question-box",
        )
        send = gr.Button("Ask", variant="primary", elem_id="ask", min_width=88, scale=0)
        stop = gr.Button("Stop", visible=False, elem_id="stop", min_width=88, scale=0)
    summary = gr.HTML(apply_default_css=False)
    current = gr.HTML(apply_default_css=False, elem_id="current")
    panels = gr.HTML(apply_default_css=False)
    earlier = gr.HTML(apply_default_css=False)
    suggestions = gr.HTML(apply_default_css=False, js_on_load=beside("acts.js"))

    shown = [box, current, panels, earlier, turns, send, stop]

    stops = Stops()

    async def asked(
        question: str, name: str, kept: Turns, request: gr.Request
    ) -> AsyncIterator[tuple[Any, ...]]:
        with stops.answering(str(request.session_hash)) as stop_event:
            async for step in _ask(assistant(), name, question, kept, stop_event):
                yield step

    async def picked(
        name: str, kept: Turns, event: gr.EventData, request: gr.Request
    ) -> AsyncIterator[tuple[Any, ...]]:
        async for step in asked(str(event.question), name, kept, request):
            yield step

    def stopped(request: gr.Request) -> None:
        stops.stop(str(request.session_hash))

    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    many: dict[str, Any] = {**hidden, "concurrency_limit": None, "outputs": shown}
    box.submit(asked, [box, base, turns], **many)
    send.click(asked, [box, base, turns], **many)
    suggestions.pick(picked, [base, turns], **many)
    stop.click(stopped, None, None, **hidden)
    base.change(lambda: ("", "", "", []), None, [current, panels, earlier, turns], **hidden)
    return AskTab(start, samples, own, summary, suggestions)


async def _ask(
    assistant: Assistant, name: str, question: str, kept: Turns, stop: asyncio.Event
) -> AsyncIterator[tuple[Any, ...]]:
    """What the parts show, step by step, while an answer comes in."""
    keep_request_id()
    question = question.strip()[:LONGEST]
    if not question:
        yield (gr.skip(),) * 7
        return
    before = kept[-_KEPT:]
    turn = Turn(before[-1][0].number + 1 if before else 1, question)
    busy = gr.update(visible=False), gr.update(visible=True)
    yield "", render.answer(turn), "", render.earlier(reversed(before)), [*before, (turn, "")], *busy
    pages: dict[tuple[object, int], str | None] = {}
    painted = 0.0
    status = 200
    try:
        async with aclosing(assistant.ask(name, question)) as events:
            async for event in until(events, stop):
                turn = turn.after(event)
                if isinstance(event, Token) and time.monotonic() - painted < _PAUSE:
                    continue
                await _read(assistant, turn, pages)
                panels = render.sheets(turn, pages)
                painted = time.monotonic()
                yield gr.skip(), render.answer(turn), panels, gr.skip(), [*before, (turn, panels)], *busy
    except AssistantError as error:
        turn, status = replace(turn, fault=told(error)), error.status
    except Exception:
        log.exception("a question from the UI failed")
        turn, status = replace(turn, fault=told(InternalError())), InternalError.status
    REQUESTS.labels("POST", ROUTE, str(status)).inc()
    turn = replace(turn, stopped=turn.open)
    panels = render.sheets(turn, pages)
    idle = gr.update(visible=True), gr.update(visible=False)
    yield gr.skip(), render.answer(turn), panels, gr.skip(), [*before, (turn, panels)], *idle


async def _read(assistant: Assistant, turn: Turn, pages: dict[tuple[object, int], str | None]) -> None:
    """Fetch the stored text of the pages that are cited."""
    for one in turn.cited():
        key = (one.document_id, one.page)
        if key not in pages:
            pages[key] = await assistant.documents.page_text(*key)
