"""Names of documents: data for people, never a path for us."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 200  # characters
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean_name(name: str) -> str:
    """A name that is safe to show and to store.

    Folders in it are kept (``reports/2025/q1.pdf``), ways out of them (``../``, drive letters, a leading
    slash) are not. Control characters and the marks that turn the direction of writing go; what is longer
    than :data:`LONGEST` is cut in the middle so that its end, with the type, stays. Empty names become
    ``unnamed``.
    """
    text = unicodedata.normalize("NFC", CONTROL.sub("", name)).replace("\\", "/")
    parts = [part.strip() for part in text.split("/")]
    kept = [part for part in parts if part not in {"", ".", ".."} and not re.fullmatch(r"[A-Za-z]:", part)]
    whole = "/".join(kept) or "unnamed"
    if len(whole) > LONGEST:
        half = (LONGEST - 1) // 2
        whole = f"{whole[: LONGEST - half - 1]}…{whole[-half:]}"
    return whole
