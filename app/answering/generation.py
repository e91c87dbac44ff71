"""One answer of the language model: its text streamed, every citation in it checked on the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.answering.checking import Citations
from app.answering.events import Citation, Cited, Degraded, Token
from app.answering.llm import AnswerCut, ChatModel, LanguageModelFailed
from app.answering.prompt import messages
from app.answering.stream import Marker, MarkerParser, Part, Refusal
from app.chunking.sentences import sentence_spans

REFUSED = "The documents don't say."

CUT = Degraded("answer_cut", "The answer reached its longest length and was cut.")


class Generation:
    """Runs once; when :meth:`events` is over, the attributes tell how it went.

    ``text`` is what was streamed; ``refused`` and ``failure`` tell that it does not hold as an answer.
    """

    def __init__(self, llm: ChatModel, question: str, citations: Citations) -> None:
        self._llm = llm
        self._question = question
        self._citations = citations
        self._claim_from = 0
        self.text = ""
        self.refused = False
        self.cut = False
        self.failure: Degraded | None = None

    async def events(self) -> AsyncGenerator[Token | Cited, None]:
        """Stream the answer; ends early, with the reason in an attribute, when it is refused or fails."""
        parser = MarkerParser()
        prompt = messages(self._question, self._citations.passages)
        try:
            async with aclosing(self._llm.stream(prompt)) as pieces:
                async for piece in pieces:
                    async with aclosing(self._show(parser.feed(piece))) as events:
                        async for event in events:
                            yield event
                    if self.refused:
                        return
        except AnswerCut:
            self.cut = True
        except LanguageModelFailed as error:
            self._fail(str(error.details.get("why")))
            return
        async with aclosing(self._show(parser.end())) as events:
            async for event in events:
                yield event
        if not self.text.strip() and not self.refused:
            self._fail("its answer was empty")

    def _fail(self, why: str) -> None:
        reason, what = ("llm_broke_off", "broke off") if self.text else ("llm_unavailable", "did not answer")
        self.failure = Degraded(reason, f"The language model {what} ({why}), so there is only an extract.")

    async def _show(self, parts: list[Part]) -> AsyncGenerator[Token | Cited, None]:
        for part in parts:
            if isinstance(part, str):
                text = part if self.text else part.lstrip()
                if text:
                    yield self._token(text)
            elif isinstance(part, Refusal):
                if not self._citations.all:
                    self.refused = True
                    return
                yield self._token(REFUSED)
            else:
                async with aclosing(self._cite(part)) as events:
                    async for event in events:
                        yield event

    def _token(self, text: str) -> Token:
        self.text += text
        return Token(text)

    async def _cite(self, marker: Marker) -> AsyncGenerator[Token | Cited, None]:
        """Put checked numbers in a marker's place, or nothing."""
        claim = self._claim()
        shown = ""
        known = len(self._citations.all)
        if not marker.items:
            self._citations.drop()
        for number, quote in marker.items:
            if quote is None:
                citation = await self._citations.supporting(number, claim)
            else:
                citation = await self._citations.quoted(number, quote)
            if citation is None:
                continue
            if citation.number > known:
                known = citation.number
                yield Cited(citation)
            shown += self._mark(citation, shown)
        text = marker.space + shown if shown or "\n" in marker.space else ""
        if text:
            yield self._token(text)
        self._claim_from = len(self.text)

    def _mark(self, citation: Citation, shown: str) -> str:
        """``[n]``, or nothing where it stands already."""
        mark = f"[{citation.number}]"
        before = self.text.rstrip() + shown
        return "" if before.endswith(mark) or mark in shown else mark

    def _claim(self) -> str:
        """The last sentence before a marker; between markers nothing new may stand, then it is the same."""
        text = self.text[self._claim_from :]
        if not any(c.isalnum() for c in text):
            text = self.text
        spans = sentence_spans(text)
        return text[slice(*spans[-1])] if spans else text
