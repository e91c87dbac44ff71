"""Sets: manifests as they are written and as somebody hostile would, and which set leads to a moment."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ka_backup import sets
from ka_backup.errors import BackupError, Incomplete, NoSet
from ka_backup.sets import Base, Found, Objects, Set

MADE = datetime(2026, 11, 29, 21, 0, 0, tzinfo=UTC)
ONE = Set(
    id="20261129T210000Z",
    made_at=MADE,
    host="postgres1",
    system="7312345678901234567",
    timeline=3,
    start_lsn="0/3000028",
    stop_lsn="0/3000100",
    base=Base("postgres1", "ab" * 32, 41_000_000),
    rows={"documents": 4, "pages": 9, "chunks": 20, "knowledge_bases": 2},
    objects=Objects(0, "0" * 64),
    release="/nix/store/abc-knowledge-assistant-0.1.0",
    seconds=12.5,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["id", "base", "rows"]), inner)
    ),
)


def found(age_hours: float, system: str = "1", name: str = "") -> Found:
    at = MADE - timedelta(hours=age_hours)
    return Found(
        replace(ONE, id=name or at.strftime(sets.ID), made_at=at, system=system), "postgres1", "c" * 64
    )


@st.composite
def manifests(draw: st.DrawFn) -> Set:
    at = draw(st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1))).replace(microsecond=0, tzinfo=UTC)  # noqa: DTZ001
    number = st.integers(0, 2**62)
    position = st.from_regex(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}", fullmatch=True)
    return Set(
        id=at.strftime(sets.ID),
        made_at=at,
        host=draw(st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)),
        system=draw(st.integers(0, 2**64 - 1).map(str)),
        timeline=draw(st.integers(1, 2**32 - 1)),
        start_lsn=draw(position),
        stop_lsn=draw(position),
        base=Base("postgres2", draw(st.binary(min_size=32, max_size=32)).hex(), draw(number)),
        rows={name: draw(number) for name in sets.ROWS},
        objects=Objects(draw(number), draw(st.binary(min_size=32, max_size=32)).hex()),
        seconds=draw(st.floats(0, 1e6)),
    )


@given(manifests())
def test_a_manifest_is_read_as_it_was_written(one: Set) -> None:
    assert sets.decode(sets.encode(one)) == one


@given(st.text() | JSON.map(json.dumps))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(Incomplete):
        sets.decode(text)


@given(st.data())
def test_a_field_of_another_kind_is_refused_by_its_name_or_taken_as_it_is(data: st.DataObject) -> None:
    plain = json.loads(sets.encode(ONE))
    name = data.draw(st.sampled_from(sorted(plain)))
    plain[name] = data.draw(JSON)
    try:
        again = sets.decode(json.dumps(plain))
    except Incomplete as error:
        said = str(error)
    else:
        said = name
        assert sets.decode(sets.encode(again)) == again
    assert name in said


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("base", "repository"), "../escrow"),
        (("base", "repository"), "postgres1/../../etc"),
        (("base", "snapshot"), "--option=x"),
        (("base", "bytes"), -1),
        (("base", "bytes"), True),
        (("host",), "postgres1\n"),
        (("id",), "20261129T210000Z; rm"),
        (("timeline",), 0),
        (("timeline",), 2**32),
        (("start_lsn",), "0/"),
        (("system",), "1' OR"),
        (("made_at",), "2026-11-29T21:00:00"),
        (("made_at",), "0001-01-01T00:00:00+23:00"),
        (("seconds",), float("nan")),
        (("seconds",), float("inf")),
        (("release",), "/etc/passwd"),
        (("rows", "chunks"), "20"),
        (("rows",), []),
        (("objects", "sha256"), "A" * 64),
    ],
)
def test_what_would_lead_elsewhere_is_refused(place: tuple[str, ...], value: Any) -> None:
    plain = json.loads(sets.encode(ONE))
    inner = plain
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(Incomplete, match=place[-1]):
        sets.decode(json.dumps(plain))


@pytest.mark.parametrize("text", ["[" * 60_000, " " * 70_000, "9" * 60_000, '{"id": "\\ud800"}'])
def test_a_manifest_that_is_meant_to_hurt_is_refused(text: str) -> None:
    with pytest.raises(Incomplete):
        sets.decode(text)


def test_what_a_later_release_adds_is_left_alone() -> None:
    plain = json.loads(sets.encode(ONE)) | {"colour": ["blue"]}
    assert sets.decode(json.dumps(plain)) == ONE


@given(st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex)))
def test_keys_are_read_as_they_were_written(keys: list[str]) -> None:
    text, told = sets.encode_objects(keys)
    assert sets.decode_objects(text.encode(), told) == sorted(set(keys))
    with pytest.raises(Incomplete):
        sets.decode_objects(text.encode() + b"0\n", told)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_list_of_keys_are_refused(content: bytes) -> None:
    with pytest.raises(Incomplete):
        sets.decode_objects(content + b"x", Objects(1, "0" * 64))


@given(st.lists(st.floats(0, 1000), min_size=1), st.floats(0, 1000))
def test_the_set_for_a_moment_is_the_newest_that_is_not_younger(ages: list[float], wanted: float) -> None:
    there, moment = [found(age) for age in ages], MADE - timedelta(hours=wanted)
    old = [one.set.made_at for one in there if one.set.made_at <= moment]
    if old:
        assert sets.choose(there, moment).set.made_at == max(old)
    else:
        with pytest.raises(NoSet, match=min(one.set.id for one in there)):
            sets.choose(there, moment)
    assert sets.choose(there).set.made_at == max(one.set.made_at for one in there)


def test_a_fleet_that_was_made_anew_does_not_take_a_set_of_the_one_before() -> None:
    there = [found(1, "2"), found(5, "1")]
    assert sets.choose(there).set.system == "2"
    with pytest.raises(NoSet):
        sets.choose(there, MADE - timedelta(hours=3))
    assert sets.choose(there, MADE - timedelta(hours=3), system="1").set.system == "1"
    with pytest.raises(NoSet, match="broken"):
        sets.newest_good(there, lambda one: "broken." if one.set.system == "2" else "")


def test_without_sets_it_is_said_how_to_make_one() -> None:
    with pytest.raises(NoSet, match=r"backup\.yml"):
        sets.choose([])


def test_the_newest_good_set_is_found_and_it_is_said_what_newer_ones_lack() -> None:
    there = [found(1), found(2), found(3)]
    bad = {there[0].set.id: "WAL is missing."}
    best, said = sets.newest_good(there, lambda one: bad.get(one.set.id, ""))
    assert best is there[1]
    assert said == [f"{there[0].set.id}: WAL is missing."]
    with pytest.raises(NoSet, match=r"No set is good\. .* WAL is missing"):
        sets.newest_good(there, lambda one: "WAL is missing.")


def test_a_set_is_found_by_its_id_or_the_newest_ones_are_named() -> None:
    there = [found(1), found(2)]
    assert sets.by_id(there, there[1].set.id) is there[1]
    with pytest.raises(NoSet, match=there[0].set.id):
        sets.by_id(there, "20200101T000000Z")


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-11-29T21:00:00Z", 21), ("2026-11-29 22:00:00+01:00", 21), ("2026-11-29T21:00:00.5Z", 21)],
)
def test_a_moment_has_its_zone(text: str, hour: int) -> None:
    assert sets.moment(text).hour == hour


@given(st.text())
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    try:
        found = sets.moment(text)
    except BackupError as error:
        said = str(error)
    else:
        said = found.strftime("%z 2026-11-23T21:00:00Z")
    assert "2026-11-23T21:00:00Z" in said


@given(st.integers(0, 2**64 - 1))
def test_a_position_is_counted_in_bytes(position: int) -> None:
    assert sets.lsn(f"{position >> 32:X}/{position & 0xFFFFFFFF:X}") == position
