"""One file for each command or family of commands; importing them adds them to ``ka``."""

from app.cli.commands import bench, config, documents, ingest, migrate, questions, reindex, serve, worker

__all__ = ["bench", "config", "documents", "ingest", "migrate", "questions", "reindex", "serve", "worker"]
