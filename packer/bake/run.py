"""Programs are called, steps are timed and told."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from packer.bake.errors import ImageError

ROOT = Path(__file__).resolve().parents[2]


class Progress:
    """Prints each step with the seconds since the start, and keeps how long it took."""

    def __init__(self, log: Path) -> None:
        # a process that goes on with another's work counts from when that began
        self.begun = float(os.environ.get("KA_IMAGE_BEGUN", time.monotonic()))
        self.seconds: dict[str, float] = {}
        self.log = log
        log.touch()

    def say(self, text: str) -> None:
        """One line for people."""
        sys.stderr.write(f"[{time.monotonic() - self.begun:4.0f} s] {text}\n")
        sys.stderr.flush()

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Says what is done now; its seconds are kept under the name."""
        self.say(text)
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - begun, 1)

    def call(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Run a program; what it prints goes to the log, and its end into the error.

        Raises ImageError when it fails or is not there.
        """
        with self.log.open("ab") as log:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            at = log.tell()
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, check=False
            )
        if ended.returncode != 0:
            raise ImageError(self.failure(command[0], at))

    def failure(self, program: str, since: int) -> str:
        """The sentence about a program that failed, with the last lines that it printed."""
        with self.log.open("rb") as log:
            log.seek(since)
            text = log.read().decode(errors="replace")
        if "No space left on device" in text:
            return f"The disk is full (while {program} ran): free some gigabytes in {self.log.parent}."
        lines = text.strip().splitlines()
        # Ansible's own words, if there are any, say more than Packer's after them
        found = [number for number, line in enumerate(lines) if re.search(r"\[ERROR\]|fatal: \[", line)]
        shown = lines[found[0] : found[0] + 20] if found else lines[-12:]
        tail = "\n".join("    " + line for line in shown)
        return f"{program} failed; all it said is in {self.log}. From there:\n{tail}"


def output(command: Sequence[str]) -> str:
    """What a program prints; ImageError with its last words when it fails."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise ImageError(f"{shlex.join(command)} failed: {ended.stderr.strip()[-400:]}")
    return ended.stdout


def program(name: str) -> str:
    """Full path of a program, also from the folders that only root has in its path."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise ImageError(
            f"{name} is missing: start this through tools/image.sh, which installs what it needs."
        )
    return found


def write_json(path: Path, value: object) -> None:
    """The file appears whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(value, indent=2) + "\n")
    new.replace(path)
