"""The screen that keeps the documents: adding, watching them become ready, trying again, deleting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import gradio as gr

from app.assistant import Assistant
from app.samples import QUESTIONS, files
from app.stores.documents import WORKING, Document
from app.ui.render import documents as render
from app.ui.render.documents import FILTERS, Filter
from app.ui.theme import beside

STEP = 50  # documents shown at first, and with each "show more"
_LOOKED_AT = 200  # newest documents among which the samples are looked for


@dataclass(frozen=True)
class DocumentsTab:
    """The parts of the screen, and what is chosen in it."""

    drop: gr.HTML
    listing: gr.HTML
    chosen: gr.State
    shown: gr.State


@dataclass(frozen=True)
class Overview:
    """What the parts show about one knowledge base."""

    summary: str
    suggestions: str
    listing: str
    empty: bool
    working: bool


def make() -> DocumentsTab:
    """Lay out the screen."""
    drop = gr.HTML(
        render.dropzone(""), apply_default_css=False, js_on_load=beside("upload.js"), elem_id="drop"
    )
    listing = gr.HTML(apply_default_css=False, js_on_load=beside("acts.js"), elem_id="listing")
    return DocumentsTab(drop, listing, gr.State("all"), gr.State(STEP))


async def overview(assistant: Assistant, name: str, chosen: str, shown: int) -> Overview:
    """Look at a knowledge base; raises :class:`~app.errors.NotFound`."""
    base = await assistant.knowledge_bases.get(name)
    counts = await assistant.documents.counts(base.id)
    picked: Filter = chosen if chosen in FILTERS else "all"
    documents = await assistant.documents.select(base.id, list(FILTERS[picked][1]), limit=shown)
    ready = await assistant.documents.select(base.id, ["ready"], limit=_LOOKED_AT) if counts else []
    return Overview(
        summary=render.summary(counts),
        suggestions=render.suggestions(_questions(ready)),
        listing=render.listing(documents, counts, picked),
        empty=not counts,
        working=any(counts.get(state) for state in WORKING),
    )


async def load_samples(assistant: Assistant, name: str) -> None:
    """Take in the sample documents."""
    base = await assistant.knowledge_bases.get(name)
    for file in files():
        await assistant.intake.accept(base, file.name, file)


async def retry(assistant: Assistant, document_id: str) -> None:
    """Read a document again."""
    await assistant.intake.retry(UUID(document_id))


async def remove(assistant: Assistant, document_id: str) -> None:
    """Delete a document."""
    await assistant.intake.delete(UUID(document_id))


def _questions(ready: Sequence[Document]) -> list[str]:
    """The examples that these documents answer."""
    names = {one.name for one in ready}
    return [question.text for question in QUESTIONS if question.document in names]
