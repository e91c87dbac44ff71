"""What has to hold after a fault, however busy the machine is, and of a playbook that has to fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fleet.faults import FAULTS
from tests.fleet.fleet import Fleet
from tests.fleet.trial import Trial, endure
from tests.lab.errors import LabError


def endured(fleet: Fleet, fault: str) -> Trial:
    """The fault happens under load; no acknowledged write is lost, doubled or damaged, no answer wrong."""
    trial = endure(fleet, FAULTS[fault])
    record = trial.record()
    assert trial.audit.clean, record
    assert trial.wrong == 0, record
    return trial


def answered_on(trial: Trial) -> None:
    """The fault is one that questions must not notice."""
    assert trial.answered >= 0.99, trial.record()


def written_again(trial: Trial) -> None:
    """Writes were not away for longer than the fault's ceiling."""
    assert trial.gap <= trial.fault.ceiling, trial.record()


def failing(fleet: Fleet, verb: str, *options: str) -> str:
    """What a playbook says that is expected to fail, its words one space apart."""
    with pytest.raises(LabError) as said:
        fleet.play(verb, *options)
    log = re.search(r"\((\S+\.log)\)", str(said.value))
    assert log, said.value
    return " ".join(Path(log[1]).read_text().replace("''", "'").split())
