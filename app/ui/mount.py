"""Puts the page into the service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
from fastapi import FastAPI

from app.assistant import Assistant
from app.ui.page import Page
from app.ui.theme import script, stylesheet, theme


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
        css=stylesheet(),
        head=f"<script>{script('page.js')}</script>",
    )
    return mounted
