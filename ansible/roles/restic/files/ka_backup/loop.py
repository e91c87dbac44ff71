"""A program that does the same again and again, tells systemd and node exporter, and ends when asked to."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Protocol

from ka_backup import metrics
from ka_backup.errors import BackupError

# Seconds in which one pass has to end; restic's own limits are shorter.
LONGEST = 3600.0


class Work(Protocol):
    """One pass, and what it measured."""

    def once(self) -> None:
        """Raises BackupError; is called again after a while in any case."""

    def figures(self) -> Mapping[str, tuple[str, metrics.Samples]]:
        """What node exporter is told after each pass."""


def notify(words: str) -> None:
    """Tell systemd, where that is who started us. Protocol: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect("\0" + address[1:] if address.startswith("@") else address)
        out.sendall(words.encode())


class Teller:
    """One line when something goes wrong, one when it is well again; none between, however often it fails."""

    def __init__(self, say: Callable[[str], object] = sys.stderr.write) -> None:
        self._say = say
        self._now: dict[str, str] = {}

    def trouble(self, what: str, sentence: str) -> None:
        """``what`` names the state; the same is told again only once it was well between."""
        if what not in self._now:
            self._say(f"{sentence}\n")
        self._now[what] = sentence

    def well(self, what: str) -> None:
        """It works."""
        if what in self._now:
            del self._now[what]
            self._say(f"{what}: well again.\n")

    @property
    def state(self) -> str:
        """For systemctl status."""
        return " ".join(self._now.values()) or "All is saved."


class Loop:
    """Runs a :class:`Work` every ``seconds`` until SIGTERM; a pass under way may end."""

    def __init__(self, name: str, work: Work, teller: Teller, folder: str, seconds: float) -> None:
        self._name = name
        self._work = work
        self._teller = teller
        self._folder = folder
        self._seconds = seconds
        self._ended = threading.Event()
        self._until = time.monotonic() + LONGEST

    def run(self) -> int:
        """0, once it was asked to end."""
        for which in (signal.SIGTERM, signal.SIGINT):
            signal.signal(which, self._end)
        threading.Thread(target=self._alive, daemon=True).start()
        notify("READY=1")
        while not self._ended.is_set():
            began = time.monotonic()
            self._until = began + LONGEST
            self.once()
            self._ended.wait(max(0.5, self._seconds - (time.monotonic() - began)))
        return 0

    def once(self) -> None:
        """A pass, told in any case; what goes wrong ends only the pass."""
        try:
            self._work.once()
        except (BackupError, OSError) as error:
            self._teller.trouble(self._name, f"{self._name}: {error} It goes on trying.")
        else:
            self._teller.well(self._name)
        try:
            metrics.write(self._folder, self._name, self._work.figures())
        except OSError as error:
            self._teller.trouble("figures", f"No figures: {error}. Run site.yml --tags exporters.")
        else:
            self._teller.well("figures")
        notify(f"STATUS={self._teller.state}")

    def _end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._ended.set()

    def _alive(self) -> None:
        """The watchdog hears from us as long as a pass does not take too long."""
        while time.monotonic() < self._until:
            notify("WATCHDOG=1")
            time.sleep(10)
