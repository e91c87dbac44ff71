"""The web UI: ask and check the sources, and keep the documents. It needs nothing from the internet."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from fastapi import FastAPI

from app.assistant import Assistant

# read when Gradio is imported, which only the modules beside this one do
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# after how many events it counts them anew, with pandas, for a page that is off
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(sys.maxsize)


def mount_ui(api: FastAPI, assistant: Callable[[], Assistant]) -> FastAPI:
    """Serve the UI at ``/`` of ``api``, behind all routes that are there already.

    ``assistant()`` gives the open assistant; it is called by the handlers, in the loop that ``api`` runs in.
    """
    # importing Gradio takes seconds, and only a service with a UI needs it
    from app.ui.mount import mount

    return mount(api, assistant)
