"""Connection strings for a database on several hosts: one for writing, one for reading from a standby.

What is in the given string wins over what is added here. Parameters:
https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from __future__ import annotations

from itertools import cycle

from psycopg.conninfo import conninfo_to_dict, make_conninfo

# A host that lost its power says nothing any more: after these seconds a connection to it is given up.
NOTICE = {
    "keepalives_idle": "3",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "tcp_user_timeout": "6000",  # milliseconds
}
CONNECT_SECONDS = 4  # to one of several hosts; the others are tried beside it
PLACE = ("host", "hostaddr", "port")  # what may be a list with commas


def for_writing(url: str, connect_seconds: float) -> str:
    """The string that leads to the one host that takes writes; ``connect_seconds`` bounds each attempt."""
    several = len(each_host(url)) > 1
    added = {
        **NOTICE,
        "application_name": "knowledge-assistant",
        "connect_timeout": str(CONNECT_SECONDS if several else max(2, round(connect_seconds))),
    }
    if several:
        added["target_session_attrs"] = "read-write"
    return _with(url, added)


def for_reading(url: str) -> str | None:
    """The string that leads to any standby, in sessions that cannot write; ``None`` for a single host."""
    if len(each_host(url)) < 2:
        return None
    added = {
        **NOTICE,
        "application_name": "knowledge-assistant-reading",
        "connect_timeout": str(CONNECT_SECONDS),
    }
    standby = make_conninfo(_with(url, added), target_session_attrs="standby")
    return with_option(standby, "-c default_transaction_read_only=on")


def with_option(conninfo: str, option: str) -> str:
    """The connection string with one more option of the server's command line."""
    given = str(conninfo_to_dict(conninfo).get("options") or "")
    return make_conninfo(conninfo, options=f"{given} {option}".strip())


def each_host(conninfo: str) -> list[str]:
    """The connection string once for each of its hosts."""
    given = conninfo_to_dict(conninfo)
    lists = {name: str(given[name]).split(",") for name in PLACE if given.get(name)}
    several = max((len(values) for values in lists.values()), default=1)
    # one port may stand for all hosts
    columns = {name: cycle(values) for name, values in lists.items()}
    return [
        make_conninfo(conninfo, **{name: next(values) for name, values in columns.items()})
        for _ in range(several)
    ]


def _with(url: str, added: dict[str, str]) -> str:
    return make_conninfo("", **{**added, **conninfo_to_dict(url)})
