"""Errors that reach people: one sentence that says what happened, one that says what to do.

The docstring of each class is its message, filled in from the keyword arguments; ``advice`` is the next step
and ``status`` the HTTP status that the API answers with.
"""

from __future__ import annotations

import inspect
from typing import ClassVar


class AssistantError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    advice: str = "Look at the service's log for the cause."

    def __init__(self, *, advice: str | None = None, **details: object) -> None:
        self.details = details
        self.message = inspect.cleandoc(type(self).__doc__ or "").format(**details)
        if advice is not None:
            self.advice = advice
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """Stable name for machines, in kebab case: ``DocumentNotFound`` is ``document-not-found``."""
        name = type(self).__name__
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")

    @property
    def help(self) -> str:
        """What to do next, filled in like the message."""
        return self.advice.format(**self.details)

    def sentence(self) -> str:
        """Message and advice in one line, for a terminal."""
        return f"{self.message} {self.help}".strip()


class NotFound(AssistantError):
    """There is no {kind} '{name}'."""

    status = 404
    advice = "List what there is and take a name from it."


class Unavailable(AssistantError):
    """{what} cannot be reached: {why}."""

    status = 503
    advice = "Try again in a moment; /readyz tells which part is away."


class InternalError(AssistantError):
    """Something went wrong on our side."""

    advice = "The service's log tells the cause."


class Invalid(AssistantError):
    """{what}."""

    status = 422
    advice = ""
