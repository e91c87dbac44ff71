"""The HTTP service: API below ``/api/v1``, health and metrics at the top, the UI in between."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from app import __version__
from app.api import problems
from app.api.guard import Guard
from app.api.request_ids import RequestIds
from app.api.routes import documents, jobs, knowledge_bases, questions, system
from app.api.traffic import Traffic
from app.assistant import Assistant

DESCRIPTION = """Ask your own documents; answers come with citations that were checked against their text.

Upload documents to a knowledge base, wait until they are `ready`, then `ask`. Errors are problem JSON
(RFC 9457): `title` says what happened, `detail` what to do next."""


class Service(FastAPI):
    """FastAPI, with the id of a request known also to what answers when a handler failed."""

    def build_middleware_stack(self) -> ASGIApp:
        """All that FastAPI puts around the routes, and the id around that."""
        return RequestIds(super().build_middleware_stack())


def create_app(assistant: Assistant) -> FastAPI:
    """Make the service on an open assistant, which outlives it."""
    settings = assistant.settings
    api: FastAPI = Service(
        title="Knowledge assistant",
        version=__version__,
        description=DESCRIPTION,
        # its page would load scripts from elsewhere, and this service works without any network
        docs_url=None,
        redoc_url=None,
        responses=problems.RESPONSES,
    )
    api.state.assistant = assistant
    api.state.draining = False
    api.state.traffic = traffic = Traffic(settings.server.drain_folder)
    problems.install(api)
    for resource in (knowledge_bases, documents, jobs, questions):
        api.include_router(resource.router, prefix="/api/v1")
    api.include_router(system.router)
    if settings.server.ui:
        from app.ui import mount_ui

        api = mount_ui(api, lambda: assistant)
    api.add_middleware(
        Guard,
        allowed_hosts=settings.server.allowed_hosts,
        max_upload_bytes=settings.server.max_upload_bytes,
        traffic=traffic,
    )
    return api
