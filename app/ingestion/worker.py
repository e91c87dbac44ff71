"""Takes jobs out of the queue and does them, until told to stop.

A worker says every few seconds that it lives. The job of one that has been silent for too long is given to
another; each step of a job can be done twice without harm, so nothing is lost or doubled by that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from uuid import UUID

from procrastinate import App, BaseRetryStrategy, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job

from app.errors import Unavailable
from app.ingestion.connector import PatientConnector
from app.ingestion.index_keeper import IndexKeeper
from app.ingestion.pipeline import Busy, Pipeline
from app.ingestion.queue import CHECK_INDEX, INGEST, SWEEP, Queue
from app.ingestion.sweep import Sweeper
from app.logs import request_id
from app.stores.database import Database
from app.stores.documents import Documents
from app.stores.vectors import IndexBroken, VectorIndex

CONCURRENCY = 2  # one document is parsed while another is embedded
LONGEST_WAIT = 60  # seconds between two tries
PAUSE = 1.0  # seconds after the queue broke off
KEEP_HOURS = 24  # jobs that are done can be looked at for so long
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds; see the settings of the same names."""

    heartbeat: float = 2
    lost: float = 10
    attempts: int = 5
    check: float = 300


class Patience(BaseRetryStrategy):
    """What is away comes back, so wait for it as long as it takes; anything else gets a few tries."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Wait longer each time, a minute at most."""
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_in={"seconds": 0})  # this worker stops; another goes on
        if not isinstance(exception, Unavailable | Busy | IndexBroken) and job.attempts + 1 >= self._attempts:
            return None
        return RetryDecision(retry_in={"seconds": min(LONGEST_WAIT, 2 ** min(job.attempts, 6))})


class Worker:
    """One process's share of the work."""

    def __init__(
        self,
        url: str,
        database: Database,
        index: VectorIndex,
        queue: Queue,
        pipeline: Pipeline,
        keeper: IndexKeeper,
        sweeper: Sweeper,
        pace: Pace,
    ) -> None:
        self._database = database
        self._index = index
        self._queue = queue
        self._pipeline = pipeline
        self._keeper = keeper
        self._sweeper = sweeper
        self._pace = pace
        # the queue listens on a connection of its own and brings its own pool
        self._app = App(connector=PatientConnector(url))
        self._define_tasks()

    async def run(self, *, until_empty: bool = False) -> None:
        """Work until cancelled or signalled; ``until_empty``: only until no job is waiting."""
        async with self._app.open_async():
            chores = [asyncio.create_task(chore) for chore in ([] if until_empty else self._chores())]
            try:
                while not await self._run_queue(until_empty):
                    log.info("this worker begins anew")
            finally:
                for chore in chores:
                    chore.cancel()
                await asyncio.gather(*chores, return_exceptions=True)

    async def _run_queue(self, until_empty: bool) -> bool:
        """Whether the work ended as it should; if not, others have taken over what was under way."""
        try:
            await self._app.run_worker_async(
                concurrency=CONCURRENCY,
                wait=not until_empty,
                delete_jobs="never",
                update_heartbeat_interval=self._pace.heartbeat,
                stalled_worker_timeout=self._pace.lost,
                shutdown_graceful_timeout=5,
                fetch_job_polling_interval=2,
            )
        except ConnectorException as error:
            why = str(error.__cause__ or error).strip().splitlines()[0]
            if until_empty:
                raise Unavailable(what="PostgreSQL", why=why) from error
            log.warning("the queue broke off: %s", why)
            await asyncio.sleep(PAUSE)
            return False
        return True

    def _define_tasks(self) -> None:
        patience = Patience(self._pace.attempts)

        @self._app.task(name=INGEST, retry=patience)
        async def ingest(document_id: str, request: str = "", **_facts: int) -> None:
            # each job is a task of its own, and what is said of its end is to bear the id as well
            request_id.set(request)
            await self._ingest(UUID(document_id))

        @self._app.task(name=SWEEP, retry=patience)
        async def sweep() -> None:
            await self._sweeper.sweep()

        @self._app.task(name=CHECK_INDEX, retry=patience)
        async def check_index(knowledge_base_id: int, deep: bool) -> None:
            await self._keeper.check(knowledge_base_id, deep=deep)

    async def _ingest(self, document_id: UUID) -> None:
        try:
            await self._pipeline.ingest(document_id)
        except (Unavailable, Busy, IndexBroken) as error:
            log.warning("document %s waits: %s", document_id, error.message)
            raise
        except Exception:
            job = await self._job_of(document_id)
            if job is not None and job + 1 >= self._pace.attempts:
                await Documents(self._database).set_state(
                    document_id,
                    "failed",
                    "Something went wrong on our side. Try it again; the service's log tells the cause.",
                )
            raise

    async def _job_of(self, document_id: UUID) -> int | None:
        """How often the document's job has been tried before."""
        attempts = await self._database.value(
            "SELECT j.attempts FROM documents d JOIN procrastinate_jobs j ON j.id = d.job_id WHERE d.id = %s",
            document_id,
        )
        return None if attempts is None else int(attempts)

    def _chores(self) -> list[Coroutine[None, None, None]]:
        return [self._take_over(), self._watch_index(), self._tidy()]

    async def _take_over(self) -> None:
        """Put back the jobs of workers that have gone silent."""
        while True:
            with _tolerance("taking over lost jobs"):
                manager = self._app.job_manager
                await manager.prune_stalled_workers(self._pace.lost)
                for job in await manager.get_stalled_jobs(seconds_since_heartbeat=self._pace.lost):
                    log.warning("job %s of a lost worker is taken up again", job.id)
                    await manager.retry_job(job)
            await asyncio.sleep(self._pace.heartbeat)

    async def _watch_index(self) -> None:
        """Check the index thoroughly when Chroma has come back, and lightly now and then."""
        away, waited = True, 0.0
        while True:
            with _tolerance("looking after the index"):
                try:
                    await self._index.check()
                except (Unavailable, IndexBroken):
                    away = True
                else:
                    if away or waited >= self._pace.check:
                        await self._keeper.check_all(deep=away)
                        away, waited = False, 0.0
            await asyncio.sleep(1)
            waited += 1

    async def _tidy(self) -> None:
        """Remove what was let go, and old jobs; once a minute."""
        while True:
            with _tolerance("tidying"):
                async with self._database.transaction() as connection:
                    await self._queue.sweep(connection)
                await self._app.job_manager.delete_old_jobs(
                    nb_hours=KEEP_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
                )
            await asyncio.sleep(60)


@contextlib.contextmanager
def _tolerance(what: str) -> Iterator[None]:
    """Chores go on after an error; the next round may do better."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- whatever it was, the worker goes on
        log.warning("%s: %s", what, error)
