"""The parsers' parent: a small process that has every parser loaded and forks one child per document.

Started as ``python -m app.parsing.zygote CONTROL_FD [FORMAT_MODULE...]`` by ``app.parsing.keeper``. It has
one thread, an empty environment and no file but its control socket, and it never looks at a document itself.
It ends, and its children with it, when the control socket does, which also happens when the service is
killed.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from app.parsing import confine
from app.parsing.child import EXIT_CRASHED, run
from app.parsing.dispatch import FORMATS, Format, load
from app.parsing.frames import MOST_CONTROL_BYTES, BadFrame, decode, encode_control
from app.parsing.model import Limits

_LOOK_FOR_PARENT_SECONDS = 5.0


class Zygote:
    """The loop: take documents from the control socket, fork, report how each child ended."""

    def __init__(self, control: socket.socket, formats: list[Format]) -> None:
        self._control = control
        self._formats = formats
        self._rules = confine.file_rules(confine.readable_paths())
        self._events = selectors.DefaultSelector()
        self._events.register(control, selectors.EVENT_READ)
        self._children: dict[int, tuple[int, int]] = {}  # job -> process id, pidfd

    def serve(self) -> None:
        """Work until the service closes the control socket or is gone."""
        parent = os.getppid()
        self._send({"type": "ready"})
        while os.getppid() == parent:
            for key, _ in self._events.select(_LOOK_FOR_PARENT_SECONDS):
                if key.data is not None:
                    self._reap(key.data)
                elif not self._take():
                    return

    def end_children(self) -> None:
        """Kill what still runs."""
        for pid, _ in self._children.values():
            os.kill(pid, signal.SIGKILL)

    def _send(self, message: dict[str, Any]) -> None:
        with suppress(OSError):
            self._control.send(encode_control(message))

    def _take(self) -> bool:
        """Handle one message of the service; False when there will be none any more."""
        try:
            packet, fds, _, _ = socket.recv_fds(self._control, MOST_CONTROL_BYTES, 2)
        except OSError:
            return False
        if not packet:
            return False
        try:
            message = decode(packet)
            if message["type"] == "parse":
                self._fork(message, *fds)
            elif message["type"] == "kill" and message["job"] in self._children:
                os.kill(self._children[message["job"]][0], signal.SIGKILL)
        except (BadFrame, KeyError, TypeError):
            return False
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _fork(self, message: dict[str, Any], document: int, stream: int) -> None:
        job = message["job"]
        me = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            self._send({"type": "exit", "job": job, "signal": 0, "code": EXIT_CRASHED, "rss": 0, "cpu": 0.0})
            return
        if pid == 0:
            self._become_child(me, message, document, stream)
        pidfd = os.pidfd_open(pid)
        self._children[job] = (pid, pidfd)
        self._events.register(pidfd, selectors.EVENT_READ, data=job)

    def _become_child(self, parent: int, message: dict[str, Any], document: int, stream: int) -> None:
        """In the forked child: let go of everything of the zygote's, confine, read the document, end."""
        code = EXIT_CRASHED
        try:
            confine.die_with_parent(parent)
            self._control.close()
            self._events.close()
            for _, pidfd in self._children.values():
                os.close(pidfd)
            limits = Limits(**message["limits"])
            confine.limit(limits)
            if self._rules is not None:
                confine.restrict_files(self._rules)
            code = run(document, stream, str(message["name"]), limits, self._formats)
        finally:
            os._exit(code)

    def _reap(self, job: int) -> None:
        pid, pidfd = self._children.pop(job)
        self._events.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        ended = os.waitstatus_to_exitcode(status)
        self._send(
            {
                "type": "exit",
                "job": job,
                "signal": max(0, -ended),
                "code": max(0, ended),
                "rss": usage.ru_maxrss * 1024,
                "cpu": usage.ru_utime + usage.ru_stime,
            }
        )


def main(arguments: list[str]) -> None:
    """Load the parsers, say ``ready`` and serve."""
    # Ctrl-C in a terminal reaches the whole group; ending is decided by the service alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(arguments[0]))
    formats = load([*arguments[1:], *FORMATS])
    _silence()
    confine.keep_freed_memory()
    gc.collect()
    gc.freeze()
    zygote = Zygote(control, formats)
    try:
        zygote.serve()
    finally:
        zygote.end_children()


def _silence() -> None:
    """Nothing that a library prints about a document may reach the service's log or terminal."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)


if __name__ == "__main__":
    main(sys.argv[1:])
