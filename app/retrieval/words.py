"""How text and questions are made ready for PostgreSQL's full text search.

PostgreSQL stems words by language, but takes a run of Chinese, Japanese or Korean, which has no spaces, for
one long word. Such runs are cut into pairs of neighbouring characters (bigrams), which search those languages
well without a dictionary (Nie, Gao, Zhang, Zhou: On the Use of Words and N-grams for Chinese Information
Retrieval, 2000).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# Hiragana, Katakana, ideographs with their extensions and compatibility forms, Hangul
CJK = re.compile(
    r"[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003134f]+"
)

# ISO 639-1 codes of the languages that PostgreSQL 17 brings a configuration for
CONFIGURATIONS = {
    "ar": "arabic",
    "hy": "armenian",
    "eu": "basque",
    "ca": "catalan",
    "da": "danish",
    "nl": "dutch",
    "en": "english",
    "fi": "finnish",
    "fr": "french",
    "de": "german",
    "el": "greek",
    "hi": "hindi",
    "hu": "hungarian",
    "id": "indonesian",
    "ga": "irish",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "no": "norwegian",
    "nb": "norwegian",
    "nn": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "es": "spanish",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
OTHER = "simple"
SAMPLE = 4_000  # characters that tell the language


def words(text: str) -> str:
    """The text with each run of Chinese, Japanese or Korean replaced by its bigrams, between spaces."""
    return CJK.sub(lambda run: f" {' '.join(bigrams(run.group()))} ", text)


def bigrams(run: str) -> list[str]:
    """Pairs of neighbouring characters; a single character stays as it is."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def language_of(text: str) -> str:
    """The text search configuration that suits a text; ``simple`` (no stemming) if none does."""
    sample = text[:SAMPLE]
    if len(sample.strip()) < 20:
        return OTHER
    code, _ = _identifier().classify(sample)
    return CONFIGURATIONS.get(code, OTHER)


def likeliest(text: str, configurations: Collection[str]) -> str:
    """Which of some configurations a short text is most likely in."""
    if len(configurations) == 1:
        return next(iter(configurations))
    for code, _ in _identifier().rank(text):
        if (found := CONFIGURATIONS.get(code, OTHER)) in configurations:
            return found
    return OTHER


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
