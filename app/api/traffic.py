"""Whether requests should come to this service, and how many it has under way."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Looks at the service, and the connection that each open page of the UI keeps: nobody waits for their end.
UNCOUNTED = ("/readyz", "/healthz", "/metrics", "/gradio_api/heartbeat")
QUIET_SECONDS = 1.0  # without a request: load balancers send nothing here any more


class Traffic:
    """What load balancers, and whoever wants to stop the service, have to know.

    Each file in ``folder`` is somebody's wish that nothing be sent here; it outlives the process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.under_way = 0
        self._last = time.monotonic()

    @property
    def drained_by(self) -> list[str]:
        """Names of those files."""
        try:
            return sorted(path.name for path in self._folder.iterdir())
        except OSError:
            return []

    @property
    def drained_seconds(self) -> float:
        """For how long somebody has wished so; 0 if nobody does, or if requests come all the same."""
        if self.idle_seconds < QUIET_SECONDS:
            return 0.0
        try:
            since = min((path.stat().st_mtime for path in self._folder.iterdir()), default=math.inf)
        except OSError:
            return 0.0
        return max(0.0, time.time() - since)

    @property
    def idle_seconds(self) -> float:
        """How long nothing has been under way."""
        return 0.0 if self.under_way else time.monotonic() - self._last

    @contextmanager
    def request(self, path: str) -> Iterator[None]:
        """Count a request while the block runs."""
        counts = 0 if path.startswith(UNCOUNTED) else 1
        self.under_way += counts
        try:
            yield
        finally:
            self.under_way -= counts
            if counts:
                self._last = time.monotonic()
