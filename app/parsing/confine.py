"""What a parser process gives up before it looks at a document.

Limits come from setrlimit(2), ties to its parent and privileges from prctl(2), the file system from
landlock(7) where the kernel has it. None of it needs privileges; all of it holds for root as well.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path

from app.parsing.model import Limits

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 64

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 * 1024**2

# Landlock: numbers are the same on every architecture
_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_ALL_FILE_RIGHTS = (1 << 13) - 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_ALL_TCP_RIGHTS = 0b11
_TCP_SINCE = 4
_ALWAYS_READABLE = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store", "/dev/null", "/dev/urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent, of process id ``parent``, ends; also if it just
    did.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def limit(limits: Limits) -> None:
    """Set this process's limits: memory, CPU, no writing, no core, few files, no children, no privileges."""
    cpu = max(1, limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def keep_freed_memory() -> None:
    """Have glibc reuse freed memory instead of handing large pieces back at once.

    A process that reads one document and ends gains nothing from handing back, and PDFium, which takes and
    frees large pieces for every page, paid a tenth of its time for it (see mallopt(3)).
    """
    with suppress(AttributeError):
        for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            _libc.mallopt(option, _KEPT_BYTES)


def readable_paths() -> list[str]:
    """Folders a parser may still read: the interpreter's and its packages', for modules imported late."""
    wanted = [*sys.path, sys.prefix, sys.base_prefix, *_ALWAYS_READABLE]
    own = str(Path(__file__).resolve().parents[2])
    narrowed = [str(Path(own) / "app") if path in {"", own} else path for path in wanted]
    # a prefix of "/usr" is fine, one of "/" would allow everything
    return sorted({path for path in narrowed if Path(path).resolve() != Path("/") and Path(path).exists()})


def file_rules(paths: list[str]) -> int | None:
    """Make a Landlock ruleset that allows reading beneath ``paths`` only, and no TCP where it can forbid
    that.

    Returns its file descriptor, or None when the kernel has no Landlock.
    """
    version = _libc.syscall(_SYS_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    if version < 1:
        return None
    attributes = struct.pack("Q", _ALL_FILE_RIGHTS)
    if version >= _TCP_SINCE:
        attributes += struct.pack("Q", _ALL_TCP_RIGHTS)
    ruleset: int = _libc.syscall(_SYS_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return None
    for path in paths:
        with suppress(OSError):
            _allow_reading(ruleset, path)
    return ruleset


def _allow_reading(ruleset: int, path: str) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | (_READ_DIR if Path(path).is_dir() else 0)
        _libc.syscall(_SYS_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
    finally:
        os.close(beneath)


def restrict_files(ruleset: int) -> None:
    """Put the rules on this process for good and close them; needs ``limit`` first (no new privileges)."""
    _libc.syscall(_SYS_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
