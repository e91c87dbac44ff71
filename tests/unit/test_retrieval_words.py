"""Words, bigrams and languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
