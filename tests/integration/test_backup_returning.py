"""Documents that come back: what is uploaded, where files are looked for, what is told before."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ka_backup import returning, run_return
from ka_backup.config import Config
from ka_backup.errors import Unusable
from ka_backup.restic import Repository, Snapshot
from ka_backup.returning import Document
from python_multipart.multipart import parse_options_header

from app.ingestion.names import clean_name
from tests.integration.test_backup_sets import MADE

CONFIG = Config("monitoring1", "monitoring", "rest:https://backup1:8000", documents=["objects1"])


def document(name: str, content: str = "a") -> Document:
    return Document(name, content * 64, 10, MADE)


def live(name: str, content: str = "a") -> dict[str, Any]:
    return {"name": name, "sha256": content * 64}


def test_what_is_there_is_left_alone_and_what_is_gone_comes_back() -> None:
    found = returning.plan([document("a.txt"), document("b.txt")], [live("a.txt"), live("c.txt")])
    assert [one.name for one in found.there] == ["a.txt"]
    assert [one.name for one in found.upload] == ["b.txt"]
    assert found.changed == []


def test_another_content_under_the_same_name_is_told() -> None:
    found = returning.plan([document("a.txt")], [live("a.txt", "b")])
    assert found.changed == ["a.txt"]


def test_a_newer_version_on_its_way_counts_as_another_content() -> None:
    found = returning.plan([document("a.txt")], [live("a.txt"), live("a.txt", "b")])
    assert found.changed == ["a.txt"]
    assert found.there == []


def snapshots(*hours: tuple[str, float]) -> list[tuple[Repository, Snapshot]]:
    repository = Repository(CONFIG, "objects1", reader=True)
    return [
        (repository, Snapshot(f"{tag}{hour:g}", MADE + timedelta(hours=hour), (tag,))) for tag, hour in hours
    ]


def test_a_file_is_looked_for_about_the_moment_and_right_after_its_upload_first() -> None:
    found = snapshots(
        ("objects", -48),
        ("objects", -1),
        ("objects", 5),
        ("objects", 90),
        ("objects-new", 0.01),
        ("objects-new", 70),
    )
    moment = MADE + timedelta(hours=1)
    order = [one.id for _, one in returning.likely(found, [MADE], moment)]
    assert order[:3] == ["objects-1", "objects-new0.01", "objects5"]
    assert sorted(order) == sorted(one.id for _, one in found)


@given(st.text().map(clean_name))
def test_every_name_arrives_as_it_was(name: str) -> None:
    head = returning.head_of("mark", name)
    line = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Disposition: "))
    _, options = parse_options_header(line.removeprefix(b"Content-Disposition: "))
    assert options[b"filename"].decode() == name


@given(st.text())
def test_a_name_is_data_in_a_statement(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    found = returning.literal(text)
    assert bytes.fromhex(found.split("\\x")[1].split("'")[0]).decode() == text
    assert found.count("'") == 4


def test_many_names_make_a_short_sentence() -> None:
    assert returning.some_of([str(number) for number in range(8)]) == "0, 1, 2, 3, 4 and 3 more"


WANTED = {
    "folder": "/data/returning",
    "knowledge_base": "default",
    "time": "2026-11-29T21:00:00Z",
    "url": "https://x",
}


def test_what_is_wanted_is_read() -> None:
    found = run_return.decode(json.dumps(WANTED | {"overwrite": True, "more": 1}))
    assert (found.knowledge_base, found.document, found.overwrite) == ("default", "", True)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", json.dumps(WANTED | {"seconds": "1"}), json.dumps(WANTED | {"overwrite": "no"})]
)
def test_what_is_wanted_wrongly_is_refused(text: str) -> None:
    with pytest.raises(Unusable, match=r"return\.yml"):
        run_return.decode(text)
