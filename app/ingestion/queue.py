"""The job queue: procrastinate, in the same PostgreSQL as the documents.

A job is put into the queue in the transaction that makes it necessary, so neither exists without the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from psycopg.types.json import Jsonb

from app.errors import NotFound
from app.logs import request_id
from app.stores.database import Connection, Database

INGEST = "ingest"
SWEEP = "sweep"
CHECK_INDEX = "check_index"

JobState = Literal["todo", "doing", "succeeded", "failed", "cancelled", "aborting", "aborted"]


@dataclass(frozen=True, slots=True)
class Job:
    """A job as people see it; ``document_id`` is ``None`` for work that concerns no single document."""

    id: int
    task: str
    state: JobState
    attempts: int
    document_id: UUID | None
    knowledge_base_id: int | None
    queued_at: datetime | None


class Queue:
    """Putting jobs in and looking at them; :mod:`app.ingestion.worker` takes them out."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Only the deferring side is used here, always on the caller's connection, so it is never opened.
        self._app = App(connector=PsycopgConnector())

    async def ingest(self, connection: Connection, document_id: UUID, knowledge_base_id: int) -> int:
        """Queue the reading of a document; returns the job's id.

        The job bears the id of the request that made it necessary, for the log of who does it.
        """
        return await self._defer(
            connection,
            INGEST,
            lock=f"document-{document_id}",
            task_kwargs={
                "document_id": str(document_id),
                "knowledge_base_id": knowledge_base_id,
                "request": request_id.get(),
            },
        )

    async def sweep(self, connection: Connection) -> None:
        """Queue the removal of what transactions left in ``removed_*``; one waiting job is enough."""
        await self._once(connection, SWEEP, "sweep", {})

    async def check_index(self, knowledge_base_id: int, *, deep: bool) -> None:
        """Queue a comparison of the vector index with the database; ``deep`` looks at more vectors.

        Checks of one knowledge base never run side by side, since each may rebuild its index.
        """

        async def put_in(connection: Connection) -> None:
            await self._once(
                connection,
                CHECK_INDEX,
                f"check-index-{knowledge_base_id}",
                {"knowledge_base_id": knowledge_base_id, "deep": deep},
            )

        await self._database.write(put_in, repeatable=True)

    async def get(self, job_id: int) -> Job:
        """The job; raises :class:`NotFound`."""
        found = await self._select("WHERE j.id = %s", job_id)
        if not found:
            raise NotFound(kind="job", name=job_id)
        return found[0]

    async def all(self, state: JobState | None = None, *, limit: int = 100) -> list[Job]:
        """Jobs, newest first."""
        return await self._select(
            "WHERE %s::text IS NULL OR j.status::text = %s ORDER BY j.id DESC LIMIT %s", state, state, limit
        )

    async def oldest_waiting_seconds(self) -> float:
        """How long the oldest job has waited for a worker, in seconds; 0 for none. A retry waits anew."""
        return float(
            await self._database.value(
                """SELECT coalesce(extract(epoch FROM now() - min(greatest(e.at, j.scheduled_at))), 0)
                FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id
                WHERE j.status = 'todo' AND e.type = 'deferred'
                  AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())"""
            )
        )

    async def _select(self, condition: str, *args: object) -> list[Job]:
        query = f"""
            SELECT j.id, j.task_name AS task, j.status::text AS state, j.attempts,
                   (j.args->>'document_id')::uuid AS document_id,
                   (j.args->>'knowledge_base_id')::bigint AS knowledge_base_id,
                   (SELECT min(e.at) FROM procrastinate_events e WHERE e.job_id = j.id) AS queued_at
            FROM procrastinate_jobs j {condition}"""
        return [Job(**row) for row in await self._database.rows(query, *args)]

    async def _once(
        self, connection: Connection, task: str, name: str, task_kwargs: dict[str, int | bool]
    ) -> None:
        """Queue a job unless the same one is waiting already.

        That one is held back until this transaction ends, so that it sees what the transaction leaves to it.
        """
        cursor = await connection.execute(
            "SELECT 1 FROM procrastinate_jobs WHERE lock = %s AND args = %s AND status = 'todo' FOR SHARE",
            (name, Jsonb(task_kwargs)),
        )
        if await cursor.fetchone() is None:
            # Two callers at the same moment may both come here; the jobs run one after the other and the
            # second finds nothing to do. A unique queueing lock would fail the caller's transaction instead.
            await self._defer(connection, task, lock=name, task_kwargs=dict(task_kwargs))

    async def _defer(
        self,
        connection: Connection,
        task: str,
        *,
        lock: str,
        task_kwargs: dict[str, str | int | bool],
    ) -> int:
        deferrer = self._app.configure_task(task, lock=lock, connection=connection, allow_unknown=True)
        try:
            return await deferrer.defer_async(**task_kwargs)
        except ConnectorException as error:
            # the transaction's owner has to know what PostgreSQL said
            raise error.__cause__ or error from None
