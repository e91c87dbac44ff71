"""Words, bigrams and languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.retrieval.lexical import BUDGET, Term, quoted, selection
from app.retrieval.words import bigrams, language_of, likeliest, words


def test_chinese_is_cut_into_pairs_of_characters() -> None:
    assert words("关于保修期") == " 关于 于保 保修 修期 "


def test_a_single_character_stays_and_other_scripts_are_left_alone() -> None:
    assert words("Wert 万 und größe") == "Wert  万  und größe"


@given(st.text(alphabet=st.characters(max_codepoint=0x2FFF)))
def test_text_without_cjk_is_not_changed(text: str) -> None:
    assert words(text) == text


@given(st.text(alphabet="日本語中文한국", min_size=2))
def test_every_character_is_in_a_pair_of_neighbours(run: str) -> None:
    pairs = bigrams(run)
    assert len(pairs) == len(run) - 1
    assert all(pair == run[i : i + 2] for i, pair in enumerate(pairs))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The frame is guaranteed for five years from the day of purchase.", "english"),
        ("Auf den Rahmen gibt es fünf Jahre Garantie ab dem Tag des Kaufs.", "german"),
        ("Le cadre est garanti cinq ans à compter de la date d'achat du vélo.", "french"),
        ("保修期为自购买之日起五年，包括车架和前叉以及所有的附件。", "simple"),
        ("short", "simple"),
        ("", "simple"),
    ],
)
def test_the_language_of_a_text_is_recognised(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_short_question_is_given_the_likeliest_of_the_languages_there_are() -> None:
    assert likeliest("Wie lange gilt die Garantie?", {"english", "german"}) == "german"
    assert likeliest("How long is the warranty?", {"english", "german"}) == "english"
    assert likeliest("Garantie?", {"english"}) == "english"


def test_passages_are_picked_by_the_rarer_words_within_the_budget() -> None:
    rare, middle, common = Term("1:a", 10), Term("1:b", 100), Term("1:c", BUDGET * 10)
    assert selection([rare, middle, common]) == "'1:a' | '1:b'"


def test_if_even_the_rarest_word_is_common_the_two_rarest_must_meet() -> None:
    assert selection([Term("1:a", BUDGET + 1), Term("1:b", BUDGET + 2)]) == "'1:a' & '1:b'"
    assert selection([Term("1:a", BUDGET + 1)]) == "'1:a'"


def test_a_rarer_word_weighs_more() -> None:
    assert Term("1:a", 1).weight(1000) > Term("1:b", 10).weight(1000) > Term("1:c", 1000).weight(1000) > 0


def test_quotes_and_backslashes_in_a_term_are_escaped() -> None:
    assert quoted("1:o'neil\\x") == "'1:o''neil\\\\x'"
