"""Statements that bear the id of the request they are made for.

PostgreSQL shows it wherever it shows statements: in ``pg_stat_activity``, and in its log beside what failed
or took long. It travels as a comment before the statement, so it takes no round trip of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import AsyncCursor
from psycopg.abc import Params, Query
from psycopg.rows import DictRow

from app.logs import request_id


class MarkedCursor(AsyncCursor[DictRow]):
    """A cursor that puts the comment before each statement, when there is a request."""

    async def execute(self, query: Query, params: Params | None = None, **options: Any) -> MarkedCursor:
        """As the base class."""
        await super().execute(_marked(query), params, **options)
        return self

    async def executemany(
        self, query: Query, params_seq: Iterable[Params], *, returning: bool = False
    ) -> None:
        """As the base class."""
        await super().executemany(_marked(query), params_seq, returning=returning)


def _marked(query: Query) -> Any:  # the overloads of psycopg take no union of all kinds of queries
    name = request_id.get()  # letters, digits and dashes alone: nothing that ends a comment
    if not name or not isinstance(query, (str, bytes)):
        return query
    text = query.encode() if isinstance(query, str) else query
    return b"/* request %b */ %b" % (name.encode(), text)
