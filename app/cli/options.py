"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Base = Annotated[str, typer.Option("--base", "-b", metavar="NAME", help="Knowledge base.")]
Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The assistant's address. Also KA_SERVER__URL.")
]
