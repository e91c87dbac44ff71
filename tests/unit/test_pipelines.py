"""The pipelines that people copy call what is there, and do the same on both hosts of code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {
    target
    for line in re.findall(r"^([a-z][a-z -]*):(?!=)", MAKEFILE, re.MULTILINE)
    for target in line.split()
}
Commands = dict[str, list[str]]


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / "pipelines" / name).read_text(encoding="utf-8"))


def github() -> Commands:
    jobs = load("github.yml")["jobs"]
    return {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}


def gitlab() -> Commands:
    return {name: job["script"] for name, job in load("gitlab.yml").items() if "script" in job}


def calls(pipeline: Commands) -> list[list[str]]:
    """Each command's words, in order."""
    return [shlex.split(command) for commands in pipeline.values() for command in commands]


@pytest.mark.parametrize("pipeline", [github(), gitlab()], ids=["github", "gitlab"])
def test_a_pipeline_calls_make_targets_that_exist_with_variables_that_they_read(pipeline: Commands) -> None:
    for program, target, *variables in calls(pipeline):
        assert program == "make"
        assert target in TARGETS, f"make {target}: the Makefile has no such target"
        for name, value in (variable.split("=", 1) for variable in variables):
            assert f"$({name})" in MAKEFILE, f"nothing reads {name}"
            assert name != "INVENTORY" or (ROOT / "ansible" / value / "hosts.yml").is_file()


def test_both_pipelines_do_the_same_in_the_same_order() -> None:
    ours, theirs = ([words[1:3] for words in calls(pipeline)] for pipeline in (github(), gitlab()))
    assert list(github()) == list(gitlab()) == load("gitlab.yml")["stages"]
    assert ours == theirs


def test_production_gets_what_was_proved_in_staging_and_only_when_somebody_approves() -> None:
    words = [" ".join(call[1:3]) for call in calls(github())]
    steps = ["lint", "test", "closure", "image", "deploy INVENTORY=inventories/staging"]
    steps += ["verify INVENTORY=inventories/staging", "fleet-test", "promote INVENTORY=inventories/staging"]
    steps += ["deploy INVENTORY=inventories/production"]
    assert [word for word in words if word in steps] == steps
    production = load("github.yml")["jobs"]["production"]
    assert (production["needs"], production["environment"]) == ("staging", "production")
    assert load("gitlab.yml")["production"]["when"] == "manual"
    assert [word for word in words if word.startswith(("closure", "image"))] == ["closure", "image"]
