"""What goes wrong in the lab, as one clear sentence and what to do about it."""

from __future__ import annotations


class LabError(Exception):
    """The message is for people; ``code`` becomes the exit code of the command.

    1: it didn't work; 2: it was asked for wrongly, nothing was tried.
    """

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Unusable(LabError):
    """A wrong request: unknown host, bad name, nothing to work on."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=2)
