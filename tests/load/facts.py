"""Small documents, each with a fact of its own that can be asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True)
class Fact:
    """The fact that belongs to ``key``; equal keys have equal facts, others have others."""

    key: str

    @cached_property
    def _digits(self) -> int:
        return int.from_bytes(hashlib.sha256(self.key.encode()).digest()[:16])

    @cached_property
    def owner(self) -> str:
        """A name of five syllables, one of 10**9."""
        rest, syllables = self._digits, []
        for _ in range(5):
            rest, consonant = divmod(rest, len(_CONSONANTS))
            rest, vowel = divmod(rest, len(_VOWELS))
            syllables.append(_CONSONANTS[consonant] + _VOWELS[vowel])
        return "".join(syllables).capitalize()

    @cached_property
    def code(self) -> str:
        """Nine digits."""
        return f"{self._digits % 900_000_000 + 100_000_000}"

    @property
    def name(self) -> str:
        """Of the document."""
        return f"{self.key}.txt"

    @property
    def content(self) -> bytes:
        """Of the document."""
        return f"The locker of {self.owner} opens with the code {self.code}.\n".encode()

    @property
    def sha256(self) -> str:
        """Of the document's content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def question(self) -> str:
        """What only this document answers."""
        return f"Which code opens the locker of {self.owner}?"

    def answered_by(self, text: str, citations: list[dict[str, object]]) -> bool:
        """Whether an answer says the fact and cites its document for it."""
        return self.code in text and any(
            citation["document"] == self.name and self.code in str(citation["quote"])
            for citation in citations
        )
