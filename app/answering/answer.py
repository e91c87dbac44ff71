"""Questions and passages in, a stream of events out: the one entrance to answering."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from app.answering.checking import Citations, PageText
from app.answering.events import Cited, Degraded, Done, Event, Kind, Restarted, Sources, Token
from app.answering.extractive import extract, readable
from app.answering.generation import CUT, REFUSED, Generation
from app.answering.llm import ChatModel
from app.embedding.base import Embedder
from app.retrieval.passage import Passage

_UNCITED = Degraded(
    "no_citation", "No words of the documents back this answer: don't rely on it without checking."
)
_WORDS_ONLY = Degraded("embedding_unavailable", "Sentences were chosen by their words alone.")
_REFUSAL = Degraded("answer_withdrawn", "The language model took its answer back.")


class Answerer:
    """Answers by a language model if there is one and it works, else with an extract."""

    def __init__(self, embedder: Embedder, llm: ChatModel | None, page_text: PageText) -> None:
        """``page_text`` reads the stored text of a document's page, None when it is gone."""
        self._embedder = embedder
        self._llm = llm
        self._page_text = page_text

    async def answer(
        self, question: str, passages: Sequence[Passage], degraded: Sequence[Degraded] = ()
    ) -> AsyncGenerator[Event, None]:
        """Stream one answer; see :mod:`app.answering.events` for the order.

        ``passages`` come best first; ``degraded`` is what retrieval has to say about itself. Closing the
        generator, or cancelling the task that reads it, ends the language model's request at once.
        """
        started = time.monotonic()
        notes = list(degraded)
        yield Sources(tuple(passages))
        citations = Citations(passages, self._page_text)
        dropped = 0
        if self._llm is not None and passages:
            run = Generation(self._llm, question, citations)
            async with aclosing(run.events()) as generated:
                async for piece in generated:
                    yield piece
            if run.failure is None and not run.refused:
                yield _finish_generated(run, citations, notes, started)
                return
            why = run.failure or _REFUSAL
            if run.text:
                yield Restarted(why)
            if run.failure is None:
                yield Token(REFUSED)
                yield _done("refused", REFUSED, citations, notes, started)
                return
            notes.append(why)
            dropped = citations.dropped
            citations = Citations(passages, self._page_text)
        citations.dropped = dropped
        async with aclosing(self._extract(question, citations, notes, started)) as events:
            async for event in events:
                yield event

    async def _extract(
        self, question: str, citations: Citations, notes: list[Degraded], started: float
    ) -> AsyncGenerator[Event, None]:
        found = await extract(question, citations.passages, self._embedder)
        if found.by_words_only:
            notes.append(_WORDS_ONLY)
        text = ""
        for sentence in found.sentences if found.answers else ():
            passage = citations.passages[sentence.passage]
            known = len(citations.all)
            citation = await citations.span(passage, sentence.start, sentence.end, sentence.text)
            if citation is None:
                continue
            if citation.number > known:
                yield Cited(citation)
            piece = f"{' ' if text else ''}{readable(sentence.text)} [{citation.number}]"
            text += piece
            yield Token(piece)
        if not text:
            yield Token(REFUSED)
        yield _done("extractive" if text else "refused", text or REFUSED, citations, notes, started)


def _finish_generated(run: Generation, citations: Citations, notes: list[Degraded], started: float) -> Done:
    if run.cut:
        notes.append(CUT)
    uncited = not citations.all
    if uncited:
        notes.append(_UNCITED)
    return _done("generated", run.text, citations, notes, started, uncited=uncited)


def _done(
    kind: Kind,
    text: str,
    citations: Citations,
    notes: Sequence[Degraded],
    started: float,
    *,
    uncited: bool = False,
) -> Done:
    return Done(
        kind=kind,
        text=text,
        citations=() if kind == "refused" else citations.all,
        dropped=citations.dropped,
        degraded=tuple(notes),
        seconds=time.monotonic() - started,
        uncited=uncited,
    )
