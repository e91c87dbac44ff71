"""Names of objects, and the hash they are made of."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from app.stores.objects.errors import InvalidKey

LONGEST_KEY = 512

_PART = r"[a-z0-9][a-z0-9._-]{0,127}"
_KEY = re.compile(rf"{_PART}(/{_PART})*")
_PREFIX = re.compile(rf"({_PART}/)*({_PART})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def document_key(sha256: str) -> str:
    """The key of a raw document, ``documents/ab/cd/<sha256>``: two levels, so that no folder gets too large.

    Args:
        sha256: SHA-256 of the document's bytes, 64 lower-case hexadecimal digits.

    Raises:
        InvalidKey: not such a digest.
    """
    if not _SHA256.fullmatch(sha256):
        raise InvalidKey(key=sha256)
    return f"documents/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def check_key(key: str) -> str:
    """Return ``key`` when it is safe in every store: no part can be ``..``, hidden, empty or too long.

    Raises:
        InvalidKey: it is not.
    """
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise InvalidKey(key=key)
    return key


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` when it can begin a key; the empty one begins all.

    Raises:
        InvalidKey: no key can begin so.
    """
    if len(prefix) > LONGEST_KEY or not _PREFIX.fullmatch(prefix):
        raise InvalidKey(key=prefix)
    return prefix


def hash_file(path: Path) -> str:
    """SHA-256 of a file in lower-case hexadecimal digits, read in small pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
