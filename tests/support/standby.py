"""A PostgreSQL with a standby that follows it, both on sockets in folders of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.embedded.postgres import SETTINGS, EmbeddedPostgres
from tests.support.servers import run_now

REPLICATION = {"wal_level": "replica", "max_wal_senders": "4"}


class Follower(EmbeddedPostgres):
    """Ready is for a standby: it can be read."""

    async def _answers(self) -> bool:
        state = self._data / "postmaster.pid"
        return await super()._answers() or (state.exists() and "standby" in state.read_text("utf-8"))


class Pair:
    """``url`` names both hosts; ``primary`` and ``standby`` are the servers."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.standby = EmbeddedPostgres(folder / "1"), Follower(folder / "2")
        hosts = [conninfo_to_dict(one.dsn)["host"] for one in (self.primary, self.standby)]
        self.url = make_conninfo(self.primary.dsn, host=",".join(map(str, hosts)), port="5432,5432")


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Both servers, stopped at the end; each write waits for the standby."""
    two = Pair(folder)
    followed = REPLICATION | {"synchronous_standby_names": "*"}
    following = REPLICATION | {"primary_conninfo": make_conninfo(two.primary.dsn, dbname=None)}
    try:
        with patch.dict(SETTINGS, REPLICATION):
            run_now(two.primary.start())
            run_now(two.primary.stop())
        shutil.copytree(folder / "1" / "data", folder / "2" / "data")
        (folder / "2" / "data" / "standby.signal").touch()
        with patch.dict(SETTINGS, followed):
            run_now(two.primary.start())
        with patch.dict(SETTINGS, following):
            run_now(two.standby.start())
        yield two
    finally:
        run_now(two.standby.stop())
        run_now(two.primary.stop())
