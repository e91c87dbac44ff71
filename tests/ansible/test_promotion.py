"""A release that passed in one fleet may go to another; what did not pass there is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.running import needs_ansible, removable, results

RELEASE = "/nix/store/aaa-knowledge-assistant-1.0"
BETTER = "/nix/store/bbb-knowledge-assistant-1.1"
OTHER = "/nix/store/ccc-knowledge-assistant-1.2"
STAGING, TRIAL = "staging", "trial"

pytestmark = needs_ansible


class Controller:
    """Where one release has passed staging and trial, another one staging alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "passed.jsonl"
        steps = [self._passes(*which) for which in ((RELEASE, STAGING), (RELEASE, TRIAL), (BETTER, STAGING))]
        told = results(folder, *steps)
        self.keys = {STAGING: told[0]["public"], TRIAL: told[1]["public"]}

    def _passes(self, release: str, fleet: str) -> dict[str, Any]:
        said = {
            "release": release,
            "fleet": fleet,
            "contents": "c1",
            "facts": ["hosts: 10 of 10"],
            "note": "",
        }
        where = {"record": str(self.record), "key": str(self.folder / f"{fleet}.key")}
        return {"promotion": {"state": "recorded", **where, **said}}

    def asks(
        self, release: str, *fleets: str, override: str = "", record: Path | None = None, **keys: str
    ) -> dict[str, Any]:
        """A step of another fleet's deploy, which wants the release to have passed in these fleets."""
        wanted = {fleet: self.keys[fleet] for fleet in fleets} | keys
        asked = {
            "record": str(record or self.record),
            "release": release,
            "keys": wanted,
            "override": override,
        }
        return {"promotion": {"state": "required", **asked}}

    def changed(self, name: str, **fields: str) -> Path:
        """Another record, in which somebody has changed the first line."""
        line = json.loads(self.record.read_text().splitlines()[0])
        other = self.folder / name
        other.write_text(json.dumps({**line, **fields}) + "\n")
        return other


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    folder = tmp_path_factory.mktemp("controller")
    yield Controller(folder)
    removable(folder)


def test_what_passed_is_let_in_with_what_is_known_of_it_and_all_else_is_refused(
    controller: Controller, tmp_path: Path
) -> None:
    passed, refused, free = results(
        tmp_path, controller.asks(RELEASE, STAGING), controller.asks(OTHER, STAGING), controller.asks(OTHER)
    )
    line = passed["passed"][STAGING]
    assert (line["release"], line["contents"], line["facts"]) == (RELEASE, "c1", ["hosts: 10 of 10"])
    assert refused["failed"]
    assert f"{OTHER} has not passed staging" in refused["msg"]
    assert "then run promote.yml there" in refused["msg"]
    assert free["passed"] == {}


def test_a_release_has_to_have_passed_in_every_fleet_that_is_named(
    controller: Controller, tmp_path: Path
) -> None:
    both, one = results(
        tmp_path, controller.asks(RELEASE, STAGING, TRIAL), controller.asks(BETTER, STAGING, TRIAL)
    )
    assert list(both["passed"]) == [STAGING, TRIAL]
    assert f"{BETTER} has not passed trial" in one["msg"]


def test_an_override_lets_a_release_in_and_its_reason_is_kept_if_it_was_needed(
    controller: Controller, tmp_path: Path
) -> None:
    needed, needless = results(
        tmp_path,
        controller.asks(OTHER, STAGING, override="the fire of Monday"),
        controller.asks(RELEASE, STAGING, override="the fire of Monday"),
    )
    assert (needed["passed"], needed["override"]) == ({}, "the fire of Monday")
    assert (list(needless["passed"]), needless["override"]) == ([STAGING], "")


def test_a_line_that_somebody_has_changed_or_signed_with_another_key_is_not_believed(
    controller: Controller, tmp_path: Path
) -> None:
    empty = base64.b64encode(bytes(64)).decode()
    refused = results(
        tmp_path,
        controller.asks(OTHER, STAGING, record=controller.changed("a", release=OTHER)),
        controller.asks(RELEASE, STAGING, record=controller.changed("b", contents="c2")),
        controller.asks(RELEASE, STAGING, record=controller.changed("c", signature=empty)),
        controller.asks(RELEASE, staging=controller.keys[TRIAL]),
    )
    assert len(refused) == 4
    for answer in refused:
        assert answer["failed"]
        assert "is not signed with the key of staging" in answer["msg"]


def test_a_fleet_without_a_key_lets_nothing_in_and_says_where_to_get_it(
    controller: Controller, tmp_path: Path
) -> None:
    for answer in results(
        tmp_path, controller.asks(RELEASE, staging=""), controller.asks(RELEASE, staging="?")
    ):
        assert (
            "promotion_keys names no key of staging: put the one there that promote.yml prints"
            in answer["msg"]
        )


def test_the_record_only_grows_and_what_cannot_be_read_in_it_does_no_harm(
    controller: Controller, tmp_path: Path
) -> None:
    lines = controller.record.read_text()
    assert [json.loads(line)["release"] for line in lines.splitlines()] == [RELEASE, RELEASE, BETTER]
    torn = tmp_path / "torn.jsonl"
    torn.write_text(f'[1]\nnonsense\n{lines}{{"release": "/nix')
    assert results(tmp_path, controller.asks(BETTER, STAGING, record=torn))[0]["passed"]
    assert (controller.folder / "staging.key").stat().st_mode & 0o077 == 0
