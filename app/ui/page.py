"""The whole page: header with the choice of knowledge base, the two screens, and how they move together."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from app.assistant import Assistant
from app.errors import AssistantError, InternalError
from app.ui import ask, documents
from app.ui.faults import keep_request_id, told
from app.ui.render.documents import dropzone
from app.ui.render.text import icon, notice

TITLE = "Knowledge assistant"
PREFERRED = "default"
_TICK = 1.0  # seconds between two looks at documents in work
_HIDDEN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
log = logging.getLogger(__name__)


class Page:
    """Builds the page, and holds the parts that its handlers change."""

    def __init__(self, assistant: Callable[[], Assistant]) -> None:
        self._assistant = assistant

    def build(self) -> gr.Blocks:
        """Lay out and connect everything."""
        blocks: gr.Blocks = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600))
        with blocks:
            self._header()
            self.notice = gr.HTML(apply_default_css=False, elem_id="notice")
            with gr.Tabs(elem_id="screens") as self.tabs:
                with gr.Tab("Ask", id="ask") as asking:
                    self.ask = ask.make(self._assistant, self.base)
                with gr.Tab("Documents", id="documents") as keeping:
                    self.documents = documents.make()
            self.screens = (asking, keeping)
            self.timer = gr.Timer(_TICK, active=False)
            self._connect(blocks)
        return blocks

    def _header(self) -> None:
        with gr.Row(elem_id="top"):
            gr.HTML(f'<p class="brand">{icon("mark")}{TITLE}</p>', apply_default_css=False)
            self.base = gr.Dropdown(
                [PREFERRED],
                value=PREFERRED,
                label="Knowledge base",
                show_label=False,
                container=False,
                filterable=False,
                scale=0,
                min_width=150,
                elem_id="base",
            )
            self.new = gr.Button("New", size="sm", scale=0, min_width=64, elem_id="new-base")
        with gr.Row(visible=False, elem_id="new-base-form") as self.form:
            self.name = gr.Textbox(
                placeholder="Name, such as handbooks",
                label="Name of the new knowledge base",
                show_label=False,
                container=False,
                max_length=63,
            )
            self.create = gr.Button("Create", variant="primary", size="sm", scale=0, min_width=80)
            self.cancel = gr.Button("Cancel", size="sm", scale=0, min_width=80)

    def _connect(self, blocks: gr.Blocks) -> None:
        tab = self.documents
        chosen = [self.base, tab.chosen, tab.shown]
        overview = [
            *(self.notice, self.ask.summary, self.ask.suggestions, self.ask.welcome, tab.listing, self.timer),
        ]

        async def look(name: str, kind: str, shown: int) -> tuple[Any, ...]:
            return await self._overview(name, kind, shown)

        async def ticked(name: str, kind: str, shown: int) -> tuple[Any, ...]:
            fault, summary, *others = await look(name, kind, shown)
            # what an action had to tell stays, and what fails now may be well at the next look
            return gr.skip(), fault or summary, *others

        async def filtered(name: str, shown: int, event: gr.EventData) -> tuple[Any, ...]:
            return str(event.filter), *await look(name, str(event.filter), shown)

        async def more(name: str, kind: str, shown: int) -> tuple[Any, ...]:
            return shown + documents.STEP, *await look(name, kind, shown + documents.STEP)

        async def retried(name: str, kind: str, shown: int, event: gr.EventData) -> tuple[Any, ...]:
            return await self._overview(name, kind, shown, lambda a: documents.retry(a, event.id))

        async def removed(name: str, kind: str, shown: int, event: gr.EventData) -> tuple[Any, ...]:
            return await self._overview(name, kind, shown, lambda a: documents.remove(a, event.id))

        async def sampled(name: str, kind: str, shown: int) -> tuple[Any, ...]:
            return await self._overview(name, kind, shown, lambda a: documents.load_samples(a, name))

        everything = [tab.drop, tab.chosen, tab.shown, *overview]
        first = blocks.load(self._bases, None, [self.base], **_HIDDEN)
        first.then(self._switched, [self.base], everything, **_HIDDEN)
        self.base.input(self._switched, [self.base], everything, **_HIDDEN)
        self.timer.tick(ticked, chosen, overview, **_HIDDEN)
        for screen in self.screens:
            screen.select(ticked, chosen, overview, **_HIDDEN)
        tab.drop.added(look, chosen, overview, **_HIDDEN)
        tab.listing.filter(filtered, [self.base, tab.shown], [tab.chosen, *overview], **_HIDDEN)
        tab.listing.more(more, chosen, [tab.shown, *overview], **_HIDDEN)
        tab.listing.retry(retried, chosen, overview, **_HIDDEN)
        tab.listing.remove(removed, chosen, overview, **_HIDDEN)
        self.ask.samples.click(sampled, chosen, overview, **_HIDDEN)
        self.ask.own.click(lambda: gr.Tabs(selected="documents"), None, [self.tabs], **_HIDDEN)
        self._connect_form(everything)

    def _connect_form(self, everything: list[Any]) -> None:
        self.new.click(lambda: gr.update(visible=True), None, [self.form], **_HIDDEN)
        self.cancel.click(lambda: (gr.update(visible=False), ""), None, [self.form, self.name], **_HIDDEN)
        outputs = [self.form, self.name, self.base, *everything]
        for made in (self.create.click, self.name.submit):
            made(self._create, [self.name], outputs, **_HIDDEN)

    async def _overview(
        self,
        name: str,
        kind: str,
        shown: int,
        act: Callable[[Assistant], Awaitable[None]] | None = None,
    ) -> tuple[Any, ...]:
        """What is shown about a knowledge base, after ``act`` has been done, or why it could not be."""
        keep_request_id()
        assistant = self._assistant()
        fault = ""
        try:
            if act is not None:
                try:
                    await act(assistant)
                except AssistantError as error:
                    fault = _notice(error)
            view = await documents.overview(assistant, name, kind, shown)
        except AssistantError as error:
            return _notice(error), *(gr.skip(),) * 5
        except Exception:
            log.exception("the UI could not be brought up to date")
            return _notice(InternalError()), *(gr.skip(),) * 5
        return (
            fault,
            view.summary,
            view.suggestions,
            gr.update(visible=view.empty),
            view.listing,
            gr.update(active=view.working),
        )

    async def _switched(self, name: str) -> tuple[Any, ...]:
        """Everything about another knowledge base."""
        return dropzone(name), "all", documents.STEP, *await self._overview(name, "all", documents.STEP)

    async def _bases(self) -> Any:
        """The knowledge bases there are, for the choice in the header."""
        try:
            names = [one.name for one in await self._assistant().knowledge_bases.all()] or [PREFERRED]
        except AssistantError:
            return gr.skip()  # the next step meets the same error, and tells it
        return gr.update(choices=names, value=PREFERRED if PREFERRED in names else names[0])

    async def _create(self, wanted: str) -> tuple[Any, ...]:
        """Make a knowledge base and switch to it; the form stays open when its name is not good."""
        keep_request_id()
        bases = self._assistant().knowledge_bases
        try:
            made = await bases.create(wanted.strip().lower().replace(" ", "-"))
            names = [one.name for one in await bases.all()]
        except AssistantError as error:
            return *(gr.skip(),) * 6, _notice(error), *(gr.skip(),) * 5
        chosen = gr.update(choices=names, value=made.name)
        return gr.update(visible=False), "", chosen, *await self._switched(made.name)


def _notice(error: AssistantError) -> str:
    return notice(*told(error))
