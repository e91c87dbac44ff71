"""Answers with sentences of the passages, or says that there are none; needs no language model."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.answering.ranking import SIMILARITY, Floats, Sentence, lexical_scores, sentences_of
from app.answering.terms import share, terms
from app.embedding.base import Embedder
from app.errors import AssistantError
from app.retrieval.passage import Passage

_LOG = logging.getLogger(__name__)

# Below this score of the best sentence the documents are taken not to hold the answer.
# Chosen with `python -m app.bench.answers`; docs/benchmarks.md has the curve.
THRESHOLD = 0.72
# The same where the embedding model is away and similarity adds nothing (`--words-only`).
WORDS_THRESHOLD = 0.42

_SENTENCES = 4
_CHARACTERS = 600
_RELATIVE = 0.5  # a sentence is shown when it scores at least this share of the best
_ALIKE = 0.7  # share of terms that makes two sentences near duplicates
# Embedding is what takes the time: so many characters take about 50 ms on two cores.
_EMBEDDED_SENTENCES = 16
_EMBEDDED_CHARACTERS = 2_400


@dataclass(frozen=True, slots=True)
class Extract:
    """The sentences in the order to be shown, and the score of the best one (about 0 to 2).

    ``by_words_only`` tells that the embedding failed and words alone decided.
    """

    sentences: tuple[Sentence, ...]
    score: float
    by_words_only: bool = False

    @property
    def answers(self) -> bool:
        """Whether it is good enough to be called an answer."""
        limit = WORDS_THRESHOLD if self.by_words_only else THRESHOLD
        return bool(self.sentences) and self.score >= limit


async def extract(question: str, passages: Sequence[Passage], embedder: Embedder) -> Extract:
    """Choose the sentences of the passages (best passage first) that answer a question best."""
    asked = terms(question)
    sentences = sentences_of(asked, passages)
    if not sentences or not asked:
        return Extract((), 0.0)
    lexical = lexical_scores(asked, sentences, passages)
    chosen = _to_embed(sentences, lexical)
    sentences, scores = [sentences[i] for i in chosen], lexical[chosen]
    by_words_only = False
    try:
        vectors = await embedder.embed([question, *(s.text for s in sentences)])
        scores = scores + SIMILARITY * (vectors[1:] @ vectors[0])
    except AssistantError as error:
        _LOG.warning("sentences are ranked by words alone: %s", error.message)
        by_words_only = True
    return Extract(_select(sentences, scores), float(scores.max()), by_words_only)


def readable(sentence: str) -> str:
    """A sentence as it is shown: on one line, words joined again, without the marks of lists and tables."""
    text = re.sub(r"(?<=[^\W\d_])[-\u00ad]\n\s*(?=[a-zà-öø-ÿ])|\u00ad", "", sentence)
    text = " ".join(text.split())
    if text.startswith("|"):
        return " · ".join(cell.strip() for cell in text.strip("|").split("|") if cell.strip())
    return re.sub(r"^(?:[-*+•‣▪]|#{1,6})\s+", "", text)


def _to_embed(sentences: Sequence[Sentence], lexical: Floats) -> list[int]:
    chosen: list[int] = []
    characters = 0
    for i in np.argsort(-lexical, kind="stable")[:_EMBEDDED_SENTENCES]:
        characters += len(sentences[i].text)
        if chosen and characters > _EMBEDDED_CHARACTERS:
            break
        chosen.append(int(i))
    return chosen


def _select(sentences: Sequence[Sentence], scores: Floats) -> tuple[Sentence, ...]:
    """The best few, without near duplicates; those of one page in their order, the best page first."""
    order = np.argsort(-scores, kind="stable")
    least = scores[order[0]] * _RELATIVE
    taken: list[Sentence] = []
    characters = 0
    for i in order:
        sentence = sentences[i]
        if len(taken) == _SENTENCES or scores[i] < least:
            break
        if taken and characters + len(sentence.text) > _CHARACTERS:
            continue
        if any(_alike(sentence, other) for other in taken):
            continue
        taken.append(sentence)
        characters += len(sentence.text)
    first = {s.passage: n for n, s in reversed(list(enumerate(taken)))}
    return tuple(sorted(taken, key=lambda s: (first[s.passage], s.start)))


def _alike(one: Sentence, other: Sentence) -> bool:
    shorter, longer = sorted((one.terms, other.terms), key=len)
    return share(shorter, longer) >= _ALIKE
