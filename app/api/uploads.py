"""Uploaded files as paths."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import UploadFile

from app.scratch import scratch_folder


@asynccontextmanager
async def on_disk(upload: UploadFile, scratch: Path) -> AsyncIterator[Path]:
    """The upload as a file, removed at the end. It was spooled to disk while it came in; it is never in
    memory as a whole."""
    with scratch_folder(scratch, "upload") as folder:
        path = Path(folder) / "upload"

        def copy() -> None:
            with path.open("wb") as target:
                shutil.copyfileobj(upload.file, target, 1024 * 1024)

        await asyncio.to_thread(copy)
        yield path
