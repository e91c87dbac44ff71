"""The command ``ka``."""

from app.cli.app import main

__all__ = ["main"]
