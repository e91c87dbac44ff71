"""The queue's connections, which outlast the primary that they led to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, LiteralString, TypeVar

from procrastinate import PsycopgConnector
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from procrastinate.sql import queries

from app.stores.pool import Pool, is_away

T = TypeVar("T")
SIZE = 4
WAIT_SECONDS = 60.0  # a worker has nothing to do but to wait for the next primary
PAUSE = 0.2
log = logging.getLogger(__name__)


class PatientConnector(PsycopgConnector):
    """Sends statements again whose connection broke, and listens again, on the next primary.

    All of them may be done twice, but for the one that takes a job: a job whose number never arrived would
    stay with a worker that does not know of it. So its failure ends the worker, and others take over.
    """

    def __init__(self, url: str) -> None:
        def make(**_given: object) -> Any:  # its rows are not what the base class says, but never seen
            return Pool(url, size=SIZE, seconds=WAIT_SECONDS)

        super().__init__(pool_factory=make)

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        """Run a statement."""
        await _patiently(super().execute_query_async, query, arguments)

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """Run a statement and return its first row."""
        return await _patiently(super().execute_query_one_async, query, arguments)

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        """Run a statement and return all rows."""
        return await _patiently(super().execute_query_all_async, query, arguments)

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Tell of notifications until cancelled."""
        while True:
            try:
                await super().listen_notify(on_notification, channels)
            except ConnectorException as error:
                log.warning("jobs are looked for, not told of, for now: %s", error.__cause__)
            await asyncio.sleep(PAUSE)


async def _patiently(send: Callable[..., Awaitable[T]], query: LiteralString, arguments: dict[str, Any]) -> T:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return await send(query, **arguments)
        except ConnectorException as error:
            late = time.monotonic() > deadline
            if late or query == queries["fetch_job"] or not is_away(error.__cause__):
                raise
        await asyncio.sleep(PAUSE)
