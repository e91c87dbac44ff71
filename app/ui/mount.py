"""Puts the page into the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from app.assistant import Assistant
from app.ui.page import Page
from app.ui.theme import beside, theme

_LOOK = 0.2  # seconds between two looks at whether the service is about to stop


def mount(api: FastAPI, assistant: Callable[[], Assistant]) -> FastAPI:
    """Serve the page at ``/``; see :func:`app.ui.mount_ui`."""
    blocks = Page(assistant).build()
    mounted: FastAPI = gr.mount_gradio_app(
        api,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        # files go to the API, so Gradio need not take any
        max_file_size=1,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        favicon_path=str(Path(__file__).with_name("favicon.svg")),
        theme=theme(),
        css=beside("style.css"),
        head=f"<style>{beside('frame.css')}</style><script>{beside('page.js')}</script>",
    )
    ui = next(route.app for route in reversed(mounted.routes) if isinstance(route, Mount))
    _let_go_when_draining(mounted, ui)
    return mounted


def _let_go_when_draining(api: FastAPI, ui: Any) -> None:
    """End the connection that each open page keeps as soon as the service drains.

    Gradio does so when its own life ends, but that waits for all connections to end.
    """
    lifespan = api.router.lifespan_context

    @asynccontextmanager
    async def watched(app: FastAPI) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        next_look: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal next_look
            if getattr(api.state, "draining", False):
                ui.stop_event.set()
            else:
                next_look = loop.call_later(_LOOK, look)

        look()
        async with lifespan(app) as state:
            try:
                yield state
            finally:
                if next_look:
                    next_look.cancel()

    api.router.lifespan_context = watched
