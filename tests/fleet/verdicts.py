"""What has to hold after a fault, however busy the machine is; a failure shows all figures."""

from __future__ import annotations

from tests.fleet.faults import FAULTS
from tests.fleet.fleet import Fleet
from tests.fleet.trial import Trial, endure


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
