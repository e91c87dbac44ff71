"""What can go wrong with the embedded servers and their folder, in sentences."""

from __future__ import annotations

from app.errors import AssistantError


class ServerFailed(AssistantError):
    """The embedded {name} did not start: {why}."""

    status = 503
    advice = "Its log is {log}."


class WrongServerVersion(AssistantError):
    """The database in '{folder}' was made by PostgreSQL {found}; this version has {expected}."""

    advice = (
        "Nothing was changed. Start the version of the assistant that made it, dump the database there with "
        "pg_dump, and restore it into a new data folder."
    )


class DatabaseStillRunning(AssistantError):
    """A PostgreSQL server left over from an earlier run (process {pid}) still uses '{folder}'."""

    advice = "Wait until it has stopped, or stop it with: kill -INT {pid}"


class CannotRunAsRoot(AssistantError):
    """PostgreSQL does not run as root, and this machine allows no other identity for it ({why})."""

    advice = "Start the assistant as an ordinary user, or set database.url to a server of your own."


class DataFolderInUse(AssistantError):
    """Another instance (process {pid}) is already using the data folder '{folder}'."""

    advice = "Stop that one first, or choose another data folder."


class DataFolderNotUsable(AssistantError):
    """The data folder '{folder}' cannot be used: {why}."""

    advice = "Choose a folder that this user may write to."


class PortInUse(AssistantError):
    """Port {port} on {host} is already in use."""

    advice = "Stop the program that uses it, or choose another port with server.port or --port."


class AddressNotUsable(AssistantError):
    """The service cannot listen on {host}, port {port}: {why}."""

    advice = "Set server.host to an address of this machine, and server.port or --port to a port above 1023."
