"""``ka serve``: the service, with whatever it needs that is not given by address."""

from __future__ import annotations

from typing import Annotated

import typer
import uvloop

from app import logs
from app.cli.app import Config, Data, cli
from app.metrics_folder import share_metrics
from app.settings import load


@cli.command()
def serve(
    config: Config = None,
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 0: none.")] = None,
) -> None:
    """Serve the API and the UI.

    PostgreSQL and Chroma are started in the data folder unless the settings give their addresses.
    Ctrl-C stops everything; the data folder stays as it is.
    """
    given = {
        "data_dir": data,
        "server.host": host,
        "server.port": port,
        "worker.processes": workers,
    }
    settings = load(config, options=given)
    logs.set_up(settings.log.level, settings.log.format)
    share_metrics(settings.data_dir)  # read when its library is imported, so before the service
    from app.service import run

    uvloop.run(run(settings, config))
