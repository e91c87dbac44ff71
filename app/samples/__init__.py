"""The sample documents of an invented maker of cargo bikes, and questions that they answer."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Question:
    """A question with one right answer: in ``document`` on ``page`` (or slide, or sheet), in these words.

    ``phrase`` stands in the page's text as it is.
    """

    text: str
    document: str
    page: int
    phrase: str


QUESTIONS = (
    Question("How should the battery be stored in winter?", "Trailhand service manual.pdf", 3, "60 percent"),
    Question("How many days of holiday do employees have?", "Employee handbook.md", 1, "28 days of holiday"),
    Question("How many bikes were recalled in May 2025?", "Annual review 2025.pptx", 4, "312 bikes"),
    Question("Wie lange gilt die Garantie auf den Rahmen?", "Garantiebedingungen.docx", 1, "zehn Jahre"),
    Question("What does error code E07 mean?", "Trailhand service manual.pdf", 4, "motor is too hot"),
    Question("What does a rain cover for the box cost?", "Spare parts.xlsx", 1, "Rain cover for the box"),
    Question("When will the Trailhand Mini be in the shops?", "Annual review 2025.pptx", 5, "14 April 2026"),
)


def files() -> list[Path]:
    """The documents, by name."""
    folder = importlib.resources.files(__name__) / "files"
    return sorted(Path(str(file)) for file in folder.iterdir())
