"""Names of objects can never lead out of the store."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.stores.objects.errors import InvalidKey
from app.stores.objects.keys import check_key, check_prefix, document_key, hash_file

BAD = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/.",
    ".hidden",
    "a\0b",
    "a\n",
    "ä",
    "A",
    "a b",
    "x" * 600,
]


def test_a_document_key_has_two_levels_below_its_prefix() -> None:
    digest = hashlib.sha256(b"text").hexdigest()
    assert document_key(digest) == f"documents/{digest[:2]}/{digest[2:4]}/{digest}"
    assert check_key(document_key(digest)) == document_key(digest)


@pytest.mark.parametrize("digest", ["", "abc", "Z" * 64, "A" * 64, "a" * 63 + "\n", "../" + "a" * 61])
def test_what_is_not_a_digest_gives_no_key(digest: str) -> None:
    with pytest.raises(InvalidKey):
        document_key(digest)


@pytest.mark.parametrize("key", BAD)
def test_an_unsafe_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        check_key(key)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(max_size=40), st.from_regex(r"[a-z./_-]{1,20}", fullmatch=True)))
def test_a_key_that_is_accepted_stays_below_the_root(key: str) -> None:
    try:
        check_key(key)
    except InvalidKey:
        return
    path = PurePosixPath("/root") / key
    assert path.is_relative_to("/root")
    assert not {".", "..", ""} & set(key.split("/"))


def test_prefixes_may_end_within_a_name_or_at_a_folder() -> None:
    for prefix in ("", "doc", "documents/", "documents/ab"):
        assert check_prefix(prefix) == prefix
    for prefix in ("/", "../", "a/../", "a//"):
        with pytest.raises(InvalidKey):
            check_prefix(prefix)


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(data)
    assert hash_file(tmp_path / "file") == hashlib.sha256(data).hexdigest()
