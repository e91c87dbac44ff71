"""Documents whose words belong to them alone, so that a test sees which of them answers."""

from __future__ import annotations

from tests.support.pdf import make_pdf

PARTS = ["saddle", "chain", "fork", "wheel", "brake", "pedal", "crank", "bell"]
SHORT_PASSAGES = {"KA_CHUNKING__TOKENS": "32", "KA_CHUNKING__OVERLAP": "0"}


def book(word: str, pages: int = 3) -> bytes:
    """A PDF; with ``SHORT_PASSAGES`` each page is eight passages."""
    return make_pdf([_page(word, number) for number in range(1, pages + 1)])


def note(word: str) -> bytes:
    """A text of one passage or two."""
    return f"The {word} note. Every {word} is kept beside the {PARTS[len(word) % 8]} in the shed.\n".encode()


def _page(word: str, number: int) -> str:
    return "\n".join(
        f"On page {number} the {word} tells why each {part} of bicycle {number * 8 + row} was\n"
        f"mended in the workshop of the {word} by hand and not replaced."
        for row, part in enumerate(PARTS)
    )
