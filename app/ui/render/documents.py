"""The list of documents, and what is said about a knowledge base as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from app.stores.documents import STATES, UNREADABLE, WORKING, Document, State
from app.ui.render.text import esc, icon, plural, size

Filter = Literal["all", "ready", "working", "unreadable"]
FILTERS: dict[Filter, tuple[str, tuple[State, ...]]] = {
    "all": ("All", STATES),
    "ready": ("Ready", ("ready",)),
    "working": ("In work", WORKING),
    "unreadable": ("Not readable", UNREADABLE),
}
WORDS: dict[State, str] = {
    "queued": "Waiting",
    "parsing": "Reading",
    "indexing": "Indexing",
    "ready": "Ready",
    "password_needed": "Password needed",
    "image_only": "Needs OCR",
    "damaged": "Damaged",
    "empty": "Empty",
    "too_large": "Too large",
    "unsupported": "Not supported",
    "too_slow": "Too slow",
    "failed": "Failed",
}
# Only for the word beside the count: what a file is is found from its content.
_MADE_OF = {"page": ("pdf",), "slide": ("pptx", "odp"), "sheet": ("xlsx", "ods"), "chapter": ("epub",)}


def listing(documents: Sequence[Document], counts: Mapping[State, int], chosen: Filter) -> str:
    """The filters with their counts, the documents, and a button for more of them."""
    if not counts:
        return ""
    matching = _count(counts, FILTERS[chosen][1])
    rows = "".join(_row(one) for one in documents)
    more = f"Show more of {plural(matching, 'document')}"
    more = f'<button type="button" class="more" data-act="more">{more}</button>'
    more = more if matching > len(documents) else ""
    nothing = "" if rows else '<p class="quiet">No document is in this state.</p>'
    return (
        f'<div class="filters" role="group" aria-label="Filter by state">{_filters(counts, chosen)}</div>'
        f'<ul class="documents" aria-label="Documents">{rows}</ul>{nothing}{more}'
    )


def summary(counts: Mapping[State, int]) -> str:
    """One line about the knowledge base: how many documents answer, and how many are in work."""
    ready, working = counts.get("ready", 0), _count(counts, WORKING)
    unread = _count(counts, UNREADABLE)
    parts = [f"{plural(ready, 'document')} ready"] if ready else []
    if working:
        parts.append(f'<span class="busy">{plural(working, "document")} being read</span>')
    if unread:
        parts.append(f"{unread:,} could not be read")
    return f'<p class="summary" role="status">{" · ".join(parts)}</p>' if parts else ""


def suggestions(questions: Iterable[str]) -> str:
    """Questions to ask with one click."""
    buttons = "".join(
        f'<button type="button" data-act="pick" data-question="{esc(one)}" dir="auto">{esc(one)}</button>'
        for one in questions
    )
    heading = '<h3 class="quiet">Try one of these</h3>'
    whole = f'<section class="suggestions" aria-label="Examples">{heading}{buttons}</section>'
    return whole if buttons else ""


def welcome() -> str:
    """What a new user sees first."""
    return (
        '<section class="welcome"><h1>Ask your own documents</h1>'
        "<p>Add PDF, Word, PowerPoint, Excel, HTML, Markdown, mail and more. Each answer shows where it "
        "stands, page by page. Nothing leaves this machine unless you connect a server of your own."
        "</p></section>"
    )


def dropzone(knowledge_base: str) -> str:
    """Where files are dropped or chosen."""
    return (
        f'<label class="drop" data-knowledge-base="{esc(knowledge_base)}">'
        f'<input type="file" multiple aria-label="Choose documents to add">{icon("upload")}'
        "<span><strong>Drop documents here</strong> or choose them</span></label>"
    )


def _filters(counts: Mapping[State, int], chosen: Filter) -> str:
    return "".join(
        f'<button type="button" data-act="filter" data-filter="{name}" '
        f'aria-pressed="{str(name == chosen).lower()}">'
        f"{label} <span>{_count(counts, states):,}</span></button>"
        for name, (label, states) in FILTERS.items()
        if name in {"all", chosen} or _count(counts, states)
    )


def _count(counts: Mapping[State, int], states: Sequence[State]) -> int:
    return sum(counts.get(state, 0) for state in states)


def _row(one: Document) -> str:
    facts = [size(one.size_bytes)]
    if pages := _pages(one):
        facts.insert(0, pages)
    if one.version > 1:
        facts.append(f"version {one.version}")
    kind = "ready" if one.state == "ready" else "working" if one.state in WORKING else "unreadable"
    return (
        f'<li class="{kind}">{icon("file")}<div class="what">'
        f'<span class="name" dir="auto">{esc(one.name)}</span>'
        f'<span class="facts">{" · ".join(facts)}</span>{_progress(one)}{_advice(one)}</div>'
        f'<span class="state {kind}">{WORDS[one.state]}</span><span class="acts">{_acts(one)}</span></li>'
    )


def _pages(one: Document) -> str:
    """How long it is, in what it is made of; nothing for what has no pages."""
    ending = one.name.rpartition(".")[2].lower()
    kind = next((kind for kind, endings in _MADE_OF.items() if ending in endings), "part")
    return plural(one.pages, kind) if one.pages and (one.pages > 1 or kind != "part") else ""


def _progress(one: Document) -> str:
    if one.state not in WORKING:
        return ""
    percent = round(100 * one.progress)
    return (
        f'<div class="bar" role="progressbar" aria-label="Progress of {esc(one.name)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}"><i style="width:{percent}%"></i></div>'
    )


def _advice(one: Document) -> str:
    return f'<span class="advice">{esc(one.message)}</span>' if one.message else ""


def _acts(one: Document) -> str:
    acts = [("retry", "Try again")] if one.state in UNREADABLE else []
    acts.append(("delete", "Delete"))
    return "".join(
        f'<button type="button" class="plain" data-act="{act}" data-id="{esc(one.id)}" '
        f'data-name="{esc(one.name)}" '
        f'aria-label="{word} {esc(one.name)}" title="{word}">{icon(act)}</button>'
        for act, word in acts
    )
