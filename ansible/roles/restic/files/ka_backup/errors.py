"""What can go wrong, each as one sentence that says what to do next."""

from __future__ import annotations


class BackupError(Exception):
    """Its text is the sentence."""


class Unusable(BackupError):
    """The settings cannot be used, or a command cannot be called so."""


class RepositoryAway(BackupError):
    """No answer, or none to this host: network, certificate, full disk there."""


class RepositoryLocked(BackupError):
    """Somebody else works in it for longer than this may wait."""


class WrongPassword(BackupError):
    """None of the repository's keys is opened by this password."""


class NoRepository(BackupError):
    """There is none of this name."""


class Incomplete(BackupError):
    """A snapshot was made, without what could not be read; ``snapshot`` is its id where that is known."""

    def __init__(self, sentence: str, snapshot: str = "") -> None:
        super().__init__(sentence)
        self.snapshot = snapshot


class Fewer(BackupError):
    """Much of what was there is gone, and may have been lost."""


class NoSet(BackupError):
    """No set is good, or none goes back so far."""
