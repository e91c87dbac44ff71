"""An answer with its citations, while it comes in and when it is complete."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from app.answering.events import Citation, Cited, Degraded, Done, Event, Restarted, Sources, Token
from app.retrieval.passage import Passage
from app.ui.render.passage import page, sheet, where
from app.ui.render.text import esc, notice, place, plural

CLOSEST = 3  # passages offered when the documents don't hold the answer
_CITED = re.compile(r"\[(\d{1,3})\]")
_BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
_CODE = re.compile(r"`([^`\n]+)`")
_MARKER = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)]|#{1,6})\s+")
LABELS = {
    "extractive": ("Extract", "Sentences of the documents, word for word"),
    "generated": ("Answer", "Worded by a language model from the documents"),
    "refused": ("Not found", ""),
}


@dataclass(frozen=True)
class Turn:
    """A question and what has come of its answer; ``number`` tells the turns of a session apart."""

    number: int
    question: str
    text: str = ""
    citations: Mapping[int, Citation] = field(default_factory=dict)
    passages: tuple[Passage, ...] = ()
    restarted: Degraded | None = None
    done: Done | None = None
    fault: tuple[str, str] | None = None  # what went wrong, and what to do
    stopped: bool = False

    @property
    def open(self) -> bool:
        """Whether more is to come."""
        return self.done is None and self.fault is None and not self.stopped

    def after(self, event: Event) -> Turn:
        """The turn with one more event of the answer."""
        match event:
            case Sources(passages):
                return replace(self, passages=passages)
            case Token(text):
                return replace(self, text=self.text + text)
            case Cited(citation):
                return replace(self, citations={**self.citations, citation.number: citation})
            case Restarted(why):
                return replace(self, text="", citations={}, restarted=why)
            case Done():
                return replace(
                    self, text=event.text, citations={one.number: one for one in event.citations}, done=event
                )

    def cited(self) -> list[Citation]:
        """The places that the panels of this turn show."""
        if self.done is not None and self.done.kind == "refused":
            return [_closest(number, passage) for number, passage in enumerate(self.passages[:CLOSEST], 1)]
        return list(self.citations.values())


def answer(turn: Turn) -> str:
    """One question with its answer."""
    return (
        f'<article class="turn" aria-busy="{str(turn.open).lower()}"><h2 dir="auto">{esc(turn.question)}</h2>'
        f"{_body(turn)}</article>"
    )


def sheets(turn: Turn, pages: Mapping[tuple[object, int], str | None]) -> str:
    """The panels of all places cited; ``pages`` holds the stored text by document and page."""
    return "".join(
        sheet(
            _identity(turn, one.number),
            one.document,
            one.document_id,
            where(one.page_kind, one.page, one.page_title),
            page(pages.get((one.document_id, one.page)), one.start, one.end),
        )
        for one in turn.cited()
    )


def earlier(turns: Iterable[tuple[Turn, str]]) -> str:
    """The questions asked before, newest first, folded; with each turn come its panels."""
    folded = "".join(
        f'<details class="earlier"><summary dir="auto">{esc(turn.question)}</summary>{_body(turn)}</details>'
        + panels
        for turn, panels in turns
    )
    heading = '<h3 class="quiet">Earlier questions</h3>'
    return f'<section aria-label="Earlier questions">{heading}{folded}</section>' if folded else ""


def markdown(text: str, chip: Mapping[int, str]) -> str:
    """Paragraphs, lists, bold and code of an answer; ``[1]`` becomes ``chip[1]`` where there is one."""
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line for line in block.splitlines() if line.strip()]
        for kind, group in groupby(lines, _kind):
            inlines = [_inline(_MARKER.sub("", line, count=1) if kind else line, chip) for line in group]
            if kind in {"ul", "ol"}:
                parts.append(f"<{kind}>{''.join(f'<li>{one}</li>' for one in inlines)}</{kind}>")
            elif kind == "h":
                parts.extend(f"<p><strong>{one}</strong></p>" for one in inlines)
            else:
                parts.append(f"<p>{'<br>'.join(inlines)}</p>")
    return "".join(parts)


def _kind(line: str) -> str:
    marker = _MARKER.match(line)
    if marker is None:
        return ""
    return "h" if "#" in marker[0] else "ol" if marker[0].strip()[0].isdigit() else "ul"


def _inline(text: str, chip: Mapping[int, str]) -> str:
    whole = _BOLD.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", esc(text)))
    return _CITED.sub(lambda found: chip.get(int(found[1]), found[0]), whole)


def _body(turn: Turn) -> str:
    if turn.fault:
        return notice(*turn.fault)
    chips = {number: _chip(turn, one) for number, one in turn.citations.items()}
    if turn.done and turn.done.kind == "refused":
        return _refusal(turn)
    waiting = '<span class="caret" aria-hidden="true"></span>' if turn.open else ""
    text = markdown(turn.text, chips) or (f'<p class="quiet">{_stage(turn)}</p>' if turn.open else "")
    label = _label(turn.done) if turn.done else ""
    text = f'<div class="answer" dir="auto" aria-live="polite">{text}{waiting}</div>'
    return label + text + _notes(turn) + _sources(turn)


def _stage(turn: Turn) -> str:
    return "Reading the passages found …" if turn.passages else "Looking through the documents …"


def _label(done: Done) -> str:
    name, meaning = LABELS[done.kind]
    return f'<p class="label {done.kind}"><strong>{name}</strong> {meaning}</p>'


def _refusal(turn: Turn) -> str:
    """What is said when the documents don't hold the answer, and where one could look."""
    text = f'<div class="answer" aria-live="polite">{markdown(turn.text, {})}</div>'
    closest = turn.cited()
    offer = (
        f'<p class="quiet">The closest passages, in case they help:</p>{_list(turn, closest)}'
        if closest
        else ""
    )
    return f"{_label(turn.done) if turn.done else ''}{text}{_notes(turn)}{offer}"


def _notes(turn: Turn) -> str:
    """Why the answer is less than it could be, in plain words."""
    notes = [one.sentence for one in turn.done.degraded] if turn.done else []
    if turn.restarted and turn.restarted.sentence not in notes:
        notes.append(turn.restarted.sentence)
    if turn.stopped:
        notes.append("You stopped this answer before it was complete.")
    if turn.done and turn.done.dropped:
        were = "was" if turn.done.dropped == 1 else "were"
        notes.append(f"{plural(turn.done.dropped, 'citation')} did not pass the check and {were} dropped.")
    return "".join(f'<p class="note">{esc(note)}</p>' for note in notes)


def _sources(turn: Turn) -> str:
    found = _list(turn, turn.cited())
    seconds = f" · {turn.done.seconds:.1f} s" if turn.done else ""
    return f'<h3 class="quiet">Sources{seconds}</h3>{found}' if found else ""


def _list(turn: Turn, cited: Iterable[Citation]) -> str:
    """The places by document and page, each with the numbers that the answer has for it."""
    places: dict[tuple[object, int], list[Citation]] = {}
    for one in cited:
        places.setdefault((one.document_id, one.page), []).append(one)
    rows = "".join(
        f'<li><span class="numbers">{"".join(_chip(turn, one) for one in group)}</span>'
        f'<button type="button" class="source" popovertarget="{_identity(turn, group[0].number)}">'
        f'<span class="name">{esc(group[0].document)}</span> <span class="place">{_place(group[0])}</span>'
        "</button></li>"
        for group in places.values()
    )
    return f'<ul class="sources">{rows}</ul>' if rows else ""


def _place(one: Citation) -> str:
    return esc(place(one.page_kind, one.page, one.page_title))


def _chip(turn: Turn, one: Citation) -> str:
    name = f"Source {one.number}: {one.document}, {place(one.page_kind, one.page, one.page_title)}"
    # not while more is coming: each part that arrives replaces the buttons and closes what they opened
    off = "disabled " if turn.open else ""
    return (
        f'<button type="button" class="chip" {off}popovertarget="{_identity(turn, one.number)}" '
        f'aria-label="{esc(name)}" title="{esc(name)}">{one.number}</button>'
    )


def _identity(turn: Turn, number: int) -> str:
    return f"source-{turn.number}-{number}"


def _closest(number: int, passage: Passage) -> Citation:
    return Citation(
        number=number,
        document_id=passage.document_id,
        document=passage.document,
        page=passage.page,
        page_kind=passage.page_kind,
        page_title=passage.page_title,
        start=passage.start,
        end=passage.end,
        quote=passage.text,
    )
