"""The citations of one answer: each is checked against the stored text of its page before it counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from uuid import UUID

from app.answering.citations import find_quote
from app.answering.events import Citation
from app.answering.terms import numbers, share, terms
from app.chunking.sentences import sentence_spans
from app.retrieval.passage import Passage

PageText = Callable[[UUID, int], Awaitable[str | None]]

# A quote may reach this far beyond its passage: passages overlap and are cut.
_AROUND = 2_000
# Shorter quotes are believed only where the model says they stand.
_TELLING = 12
# Share of a claim's terms that a sentence must hold to support it.
_SUPPORT = 0.5


class Citations:
    """Collects what may be cited; numbers count from 1, and the same span keeps its number.

    ``dropped`` counts what failed the check.
    """

    def __init__(self, passages: Sequence[Passage], page_text: PageText) -> None:
        """``page_text`` reads the stored text of a document's page, None when it is gone."""
        self.passages = tuple(passages)
        self.dropped = 0
        self._page_text = page_text
        self._pages: dict[tuple[UUID, int], str | None] = {}
        self._cited: dict[tuple[UUID, int, int, int], Citation] = {}

    @property
    def all(self) -> tuple[Citation, ...]:
        """Every citation so far, by number."""
        return tuple(self._cited.values())

    async def span(self, passage: Passage, start: int, end: int, text: str) -> Citation | None:
        """Cite ``text`` at a span of the passage's page in characters, or near by if the page has changed."""
        page = await self._page(passage)
        if page is not None and page[start:end] == text:
            return self._add(passage, (start, end), page)
        return self._counted(await self._quote(passage, text))

    async def quoted(self, number: int, quote: str) -> Citation | None:
        """Cite words that are said to stand in passage ``number``, counted from 1.

        A quote long enough to tell that stands in another of the passages is cited there.
        """
        named = self._passage(number)
        others = [p for p in self.passages if p is not named] if len(quote) >= _TELLING else []
        for passage in ([named] if named else []) + others:
            citation = await self._quote(passage, quote)
            if citation is not None:
                return citation
        return self._counted(None)

    async def supporting(self, number: int, claim: str) -> Citation | None:
        """Cite the sentence (or two neighbours) of passage ``number`` that says most of a claim."""
        passage = self._passage(number)
        best = _best_support(passage.text, claim) if passage else None
        if passage is None or best is None:
            return self._counted(None)
        start, end = best
        text = passage.text[start:end]
        return await self.span(passage, passage.start + start, passage.start + end, text)

    def drop(self) -> None:
        """Count a citation that could not even be read."""
        self.dropped += 1

    def _counted(self, citation: Citation | None) -> Citation | None:
        if citation is None:
            self.drop()
        return citation

    def _passage(self, number: int) -> Passage | None:
        return self.passages[number - 1] if 1 <= number <= len(self.passages) else None

    async def _page(self, passage: Passage) -> str | None:
        key = (passage.document_id, passage.page)
        if key not in self._pages:
            self._pages[key] = await self._page_text(*key)
        return self._pages[key]

    async def _quote(self, passage: Passage, quote: str) -> Citation | None:
        page = await self._page(passage)
        if page is None:
            return None
        around = max(0, passage.start - _AROUND), passage.end + _AROUND
        for start, end in ((passage.start, passage.end), around):
            span = find_quote(page, quote, start, end)
            if span is not None:
                return self._add(passage, span, page)
        return None

    def _add(self, passage: Passage, span: tuple[int, int], page: str) -> Citation:
        key = (passage.document_id, passage.page, *span)
        if key not in self._cited:
            self._cited[key] = Citation(
                number=len(self._cited) + 1,
                document_id=passage.document_id,
                document=passage.document,
                page=passage.page,
                page_kind=passage.page_kind,
                page_title=passage.page_title,
                start=span[0],
                end=span[1],
                quote=page[slice(*span)],
            )
        return self._cited[key]


def _best_support(text: str, claim: str) -> tuple[int, int] | None:
    """The span in ``text`` with most of the claim's terms and all of its numbers; None below the limit."""
    wanted, figures = terms(claim), numbers(claim)
    singles = sentence_spans(text)
    pairs = [(a[0], b[1]) for a, b in pairwise(singles)]
    best, best_share = None, _SUPPORT
    for start, end in [*singles, *pairs]:
        piece = text[start:end]
        held = share(wanted, terms(piece))
        # A pair has to say clearly more than one of its sentences does.
        if held >= best_share and figures <= numbers(piece):
            best, best_share = (start, end), held + 0.1
    return best
