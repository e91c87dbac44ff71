"""``ka worker``: reads documents."""

from __future__ import annotations

import os
from typing import Annotated

import typer
import uvloop

from app import logs
from app.cli.app import Config, Data, cli
from app.metrics_folder import share_metrics
from app.settings import Settings, load

NICE = 5


@cli.command()
def worker(
    config: Config = None,
    data: Data = None,
    until_empty: Annotated[bool, typer.Option(help="End when no document is waiting.")] = False,
) -> None:
    """Read documents that were uploaded, until stopped.

    'ka serve' starts workers of its own unless worker.processes is 0.
    """
    settings = load(config, options={"data_dir": data})
    logs.set_up(settings.log.level, settings.log.format)
    share_metrics(settings.data_dir)
    uvloop.run(_work(settings, until_empty))


async def _work(settings: Settings, until_empty: bool) -> None:
    from app.assistant import Endpoints, open_assistant
    from app.embedded.stack import addresses
    from app.worker import open_worker

    endpoints = Endpoints(*addresses(settings))
    # questions go first: they are answered by other processes on the same cores
    os.nice(NICE)
    async with open_assistant(settings, endpoints) as assistant, open_worker(assistant) as worker:
        await worker.run(until_empty=until_empty)
