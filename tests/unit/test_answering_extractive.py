"""Extracts: the right sentences, honest refusals, any language, even with no embedding model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.answering.extractive import extract, readable
from app.answering.ranking import sentences_of
from app.answering.terms import numbers, terms
from app.embedding.base import Vectors
from app.errors import Unavailable
from app.retrieval.passage import Passage

LIBRARY = {
    "en": [
        "The library opens at eight in the morning. It closes at ten in the evening. The café is inside.",
        "The fine for late books is five cents per day. Each reader may borrow ten books at once.",
    ],
    "de": [
        "Die Bibliothek öffnet um acht Uhr morgens. Sie schließt abends um zehn. Das Café liegt innen.",
        "Die Mahngebühr für verspätete Bücher beträgt fünf Cent am Tag. Leser dürfen zehn Bücher ausleihen.",
    ],
    "zh": [
        "图书馆每天早上八点开门，晚上十点关门。咖啡厅位于一楼大厅的东侧。",
        "逾期归还的图书每天罚款五角。每位读者最多可以同时借阅十本书。",
    ],
    "ru": [
        "Библиотека открывается каждый день в восемь утра. Кафе находится в восточной части вестибюля.",
        "За просрочку книг взимается штраф пять рублей в день. Читатель может взять не более десяти книг.",
    ],
}


class WordsAsVectors:
    """A small real embedder: texts that share letters' groups are near, by hashing them into 256 places."""

    name = "letters"
    dimension = 256
    max_tokens = 10_000

    async def embed(self, texts: Sequence[str]) -> Vectors:
        out = np.zeros((len(texts), self.dimension), np.float32)
        for i, text in enumerate(texts):
            for term in terms(text):
                out[i, int.from_bytes(hashlib.sha1(term.encode()).digest()[:2]) % self.dimension] += 1
            out[i] /= max(float(np.linalg.norm(out[i])), 1e-9)
        return out

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]

    async def close(self) -> None:
        pass


class Away(WordsAsVectors):
    async def embed(self, texts: Sequence[str]) -> Vectors:
        raise Unavailable(what="The embedding model", why="it is being replaced")


def passage(text: str, number: int = 1, *, start: int = 0, headings: str = "") -> Passage:
    return Passage(
        number, UUID(int=1), "rules.pdf", number, "page", None, start, start + len(text), headings, text
    )


def library(language: str) -> list[Passage]:
    return [passage(text, n) for n, text in enumerate(LIBRARY[language], 1)]


@pytest.mark.parametrize(
    ("language", "question", "word"),
    [
        ("en", "When does the library open?", "eight"),
        ("en", "How many books may a reader borrow?", "ten"),
        ("de", "Wann öffnet die Bibliothek?", "acht"),
        ("de", "Wie hoch ist die Mahngebühr für verspätete Bücher?", "fünf"),
        ("zh", "图书馆几点开门？", "八点"),
        ("zh", "每位读者可以借阅几本书？", "十本"),
        ("ru", "Во сколько открывается библиотека?", "восемь"),
        ("ru", "Какой штраф за просрочку книг?", "пять"),
    ],
)
@pytest.mark.parametrize("embedder", [WordsAsVectors(), Away()])
async def test_the_sentence_that_answers_is_chosen_in_any_language(
    embedder: WordsAsVectors, language: str, question: str, word: str
) -> None:
    found = await extract(question, library(language), embedder)
    assert found.answers
    assert found.by_words_only is isinstance(embedder, Away)
    assert word in " ".join(sentence.text for sentence in found.sentences)


@pytest.mark.parametrize(
    ("language", "question"),
    [
        ("en", "Who invented the telephone?"),
        ("en", "What is the speed of light in water?"),
        ("de", "Wer hat das Telefon erfunden?"),
        ("zh", "法国的首都是哪里？"),
        ("ru", "Кто изобрёл телефон?"),
    ],
)
@pytest.mark.parametrize("embedder", [WordsAsVectors(), Away()])
async def test_what_the_documents_do_not_say_is_not_answered(
    embedder: WordsAsVectors, language: str, question: str
) -> None:
    assert not (await extract(question, library(language), embedder)).answers


@pytest.mark.parametrize("question", ["", "???", "When does it open?"])
async def test_no_passages_or_no_words_are_no_answer(question: str) -> None:
    assert not (await extract(question, [], WordsAsVectors())).answers
    if not question.strip("?"):
        assert not (await extract(question, library("en"), WordsAsVectors())).answers


async def test_a_heading_or_question_leads_to_the_sentence_after_it() -> None:
    text = "# Opening hours\n\nDaily from eight to ten.\n\n# Parking garage\n\nBehind the building."
    found = await extract("What are the opening hours?", [passage(text)], WordsAsVectors())
    assert found.sentences[0].text == "Daily from eight to ten."
    text = "How do I reset the device? Hold the red button down. How do I mount it? Use the four screws."
    found = await extract("How do I reset the device?", [passage(text)], WordsAsVectors())
    assert found.sentences[0].text == "Hold the red button down."


async def test_a_sentence_whose_only_news_is_a_number_answers_and_a_numbered_heading_does_not() -> None:
    text = "4.1 How high is the lighthouse\n\nThe lighthouse of Sundholm is 41 metres high. It is red."
    found = await extract("How high is the lighthouse of Sundholm?", [passage(text)], WordsAsVectors())
    assert found.sentences[0].text == "The lighthouse of Sundholm is 41 metres high."


async def test_what_stands_twice_is_shown_once() -> None:
    text = "The fine for late books is five cents per day."
    again = [passage(text, 1), passage(text, 2), passage(text.replace("five", "5"), 3)]
    found = await extract("How high is the fine for late books?", again, WordsAsVectors())
    assert [sentence.passage for sentence in found.sentences] == [0]


async def test_overlapping_passages_of_a_page_give_each_sentence_once() -> None:
    text = (
        "The library opens at eight. The fine for late books is five cents per day. Ten books may be taken."
    )
    cut = text.index("The fine")
    overlapping = [passage(text), passage(text[cut:], start=cut)]
    found = sentences_of(terms("fine"), overlapping)
    assert len(found) == len({(s.start, s.end) for s in found}) == 3
    assert all(text[s.start : s.end] == s.text for s in found)


async def test_an_extract_is_short() -> None:
    text = " ".join(
        f"The fine for late books in hall number {n} is exactly {n} cents per day." for n in range(99)
    )
    found = await extract("How high is the fine for late books?", [passage(text)], WordsAsVectors())
    assert 1 <= len(found.sentences) <= 4
    assert sum(len(sentence.text) for sentence in found.sentences) <= 600


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="ab 1.,;\n|#-?文章。", max_size=900), st.integers(0, 50))
def test_every_sentence_is_a_span_of_its_page_and_of_bearable_length(text: str, start: int) -> None:
    for sentence in sentences_of(terms("c"), [passage(text, start=start)]):
        assert (" " * start + text)[sentence.start : sentence.end] == sentence.text
        assert 0 < len(sentence.text) <= 400


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("the exam-\nple is\nfine", "the example is fine"),
        ("| Day | Hours |", "Day · Hours"),
        ("- an item", "an item"),
        ("plain words", "plain words"),
    ],
)
def test_sentences_are_shown_as_people_write_them(stored: str, shown: str) -> None:
    assert readable(stored) == shown


def test_numbers_are_compared_without_their_separators() -> None:
    assert numbers("1,190 of 2.5 and 1 190") == {"1190", "25", "1", "190"}
