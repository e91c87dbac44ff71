"""What has to hold after a fault, however busy the machine is; a failure shows all figures."""

from __future__ import annotations

from tests.fleet.trial import Trial


def unharmed(trial: Trial) -> None:
    """Nothing that was acknowledged is lost, doubled or damaged, and no answer was wrong."""
    record = trial.record()
    assert trial.audit.clean, record
    assert trial.wrong == 0, record


def answered_on(trial: Trial) -> None:
    """The fault is one that questions must not notice."""
    assert trial.answered >= 0.99, trial.record()


def written_again(trial: Trial) -> None:
    """Writes were not away for longer than the fault's ceiling."""
    assert trial.gap <= trial.fault.ceiling, trial.record()
