"""What went wrong, told with the id by which logs know the request, so that people can quote it."""

from __future__ import annotations

from gradio.context import LocalContext

from app.errors import AssistantError
from app.logs import request_id


def keep_request_id() -> None:
    """Let all that an event does bear the id of the request that brought it.

    Gradio handles each event in a task of its own, apart from the request, whose headers it keeps. They have
    the id, safe and never missing: see :mod:`app.api.request_ids`.
    """
    request = LocalContext.request.get(None)
    if request is not None:
        request_id.set(str(request.headers.get("x-request-id", "")))


def told(error: AssistantError) -> tuple[str, str]:
    """What happened, and what to do."""
    name = request_id.get()
    return error.message, f"{error.help} (Request {name})".lstrip() if name else error.help
