"""Ranks the sentences of passages by how well they answer a question.

A score is the sum of: the share of the question's weight that the sentence itself holds, part of the share
that its passage, title and headings hold, and part of the cosine between the embeddings of sentence and
question. The share of words decides, so that the score means the same in languages that the embedding model
knows little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.answering.terms import Terms, Weights, terms
from app.chunking.sentences import sentence_spans
from app.retrieval.passage import Passage

Floats = NDArray[np.float32]

# Chosen with `python -m app.bench.answers`; docs/benchmarks.md has the figures.
SIMILARITY = 0.6
CONTEXT = 0.4
LEAD = 0.5
RANK = 0.02

_USUAL = 45  # terms of a question of some ten words
_LEAST_LETTERS = 12  # fewer are numbers of pages and captions; letters of CJK count twice
_LONGEST = 400  # characters; longer ones, such as lists without full stops, are cut
_NEW = 0.25  # share of a sentence that must not be in the question already
_LEAD = re.compile(r"\s{0,3}#|.*[?？؟]\W*$", re.DOTALL)
_STATED = re.compile(r".*[^\W\d_].*[.!。！]\W*$", re.DOTALL)  # a sentence, not a numbered heading


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that may be shown; ``start`` and ``end`` are its span in the page's text, in characters.

    ``passage`` is the index of its passage; ``lead`` holds the terms of a heading or question before it.
    """

    passage: int
    start: int
    end: int
    text: str
    terms: Terms
    lead: Terms


def sentences_of(question: Terms, passages: Sequence[Passage]) -> list[Sentence]:
    """Every sentence that could be an answer, in the order of the passages.

    Headings, questions and what only repeats the question are no answers, but lead to the next sentence.
    Passages of one page overlap; what stands in an earlier one is left out.
    """
    found: list[Sentence] = []
    taken: dict[tuple[object, int], list[tuple[int, int]]] = {}
    for index, passage in enumerate(passages):
        spans = taken.setdefault((passage.document_id, passage.page), [])
        lead: Terms = frozenset()
        for start, end in _pieces(passage.text):
            text = passage.text[start:end]
            span = passage.start + start, passage.start + end
            own = terms(text)
            if _LEAD.match(text) or _repeats(question, own, text):
                lead = own
            elif _letters(text) >= _LEAST_LETTERS and not _inside(span, spans):
                spans.append(span)
                found.append(Sentence(index, *span, text, own, lead))
                lead = frozenset()
    return found


def _repeats(question: Terms, own: Terms, text: str) -> bool:
    """Whether a sentence says next to nothing new; a number in a sentence may be all that was asked for."""
    new = own - question
    if _STATED.match(text) and any(c.isdigit() for term in new for c in term):
        return False
    return len(new) < _NEW * len(own)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """The spans of the sentences; long ones are cut between lines or words."""
    for first, end in sentence_spans(text):
        start = first
        while end - start > _LONGEST:
            cut = max(
                text.rfind(mark, start + _LONGEST // 2, start + _LONGEST) for mark in ("\n", "; ", ", ")
            )
            if cut < 0:
                cut = text.rfind(" ", start + 1, start + _LONGEST)
            cut = cut + 1 if cut > start else start + _LONGEST
            yield start, start + len(text[start:cut].rstrip())
            start = cut + len(text[cut:end]) - len(text[cut:end].lstrip())
        if start < end:
            yield start, end


def _letters(text: str) -> int:
    return sum(1 if c.isascii() else 2 for c in text if c.isalnum())


def _inside(span: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in others)


def lexical_scores(question: Terms, sentences: Sequence[Sentence], passages: Sequence[Passage]) -> Floats:
    """The part of the score that needs no embedding: shape (len(sentences),), about 0 to 1.3."""
    around = [terms(f"{p.document} {p.headings} {p.page_title or ''} {p.text}") for p in passages]
    weights = Weights([s.terms for s in sentences])
    # A long question has words around the matter ("could you please tell me"), which no sentence answers.
    whole = weights.total(question) * min(1.0, (_USUAL / max(1, len(question))) ** 0.5) or 1.0
    context = [weights.total(question & a) / whole for a in around]
    scores = np.zeros(len(sentences), np.float32)
    for i, sentence in enumerate(sentences):
        own = weights.total(question & sentence.terms) / whole
        lead = weights.total(question & sentence.lead - sentence.terms) / whole
        place = sentence.passage
        scores[i] = own + LEAD * lead + CONTEXT * context[place] - RANK * place
    return scores
