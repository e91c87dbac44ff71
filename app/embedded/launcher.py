"""A small program between the owner and its server: it takes a suitable identity, then becomes the server.

It is run as a file of its own (``python -I -S launcher.py JSON``), imports nothing of the application and
ends by ``exec``, so that the server keeps this process's id. JSON object: ``owner`` (process id that must
be the parent), ``death_signal`` (sent by the kernel to the server when the owner's main thread ends),
``run_as`` (``"keep"``, ``"map"`` or ``[uid, gid]``), ``argv`` (absolute program first).

``map``: a user namespace in which root has an ordinary id, since PostgreSQL refuses to run with the
effective id 0; outside of it the process is still root, and files it makes belong to root. ``[uid, gid]``:
a real change of identity. Both keep the capability to look into folders of others (CAP_DAC_READ_SEARCH,
else CAP_DAC_OVERRIDE), so that no folder above the data has to be opened to anyone. See user_namespaces(7),
capabilities(7) and prctl(2).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

MAPPED_ID = 65534
"""What root is called inside the namespace; it has to have a name in /etc/passwd (``nobody``) for initdb."""

CANNOT_TAKE_IDENTITY = 71
OWNER_IS_GONE = 72
CANNOT_EXECUTE = 73

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def _prctl(option: int, value: int, more: int = 0) -> None:
    arguments = [ctypes.c_ulong(number) for number in (value, more, 0, 0)]
    _check(_libc.prctl(option, *arguments), f"prctl {option}")


def _keep_only_the_way_to_the_files() -> None:
    """Reduce all capabilities to one that reaches files below closed folders, and let it survive ``exec``."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; low and high words
    _check(_libc.capget(header, sets), "capget")
    have = sets[1]
    kept = next((c for c in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if have & (1 << c)), None)
    mask = 0 if kept is None else 1 << kept
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    _check(_libc.capset(header, sets), "capset")
    if kept is not None:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, kept)


def _write_maps(process: int) -> None:
    """Map root to ``MAPPED_ID`` and all smaller ids to themselves; in a small container root alone."""
    for name in ("gid_map", "uid_map"):
        path = Path(f"/proc/{process}/{name}")
        try:
            path.write_text(f"1 1 {MAPPED_ID - 1}\n{MAPPED_ID} 0 1\n", encoding="ascii")
        except PermissionError:
            path.write_text(f"{MAPPED_ID} 0 1\n", encoding="ascii")


def _enter_namespace() -> None:
    """Become ``MAPPED_ID`` in a new user namespace; a process outside of it has to write its maps."""
    read, write = os.pipe()
    me = os.getpid()
    helper = os.fork()
    if helper == 0:
        code = 1
        try:
            os.close(write)
            if os.read(read, 1) == b"+":
                _write_maps(me)
                code = 0
        finally:
            os._exit(code)
    os.close(read)
    try:
        os.setgroups([])
        _check(_libc.unshare(_CLONE_NEWUSER), "unshare")
        os.write(write, b"+")
    finally:
        os.close(write)
        _, status = os.waitpid(helper, 0)
    if status != 0 or os.geteuid() != MAPPED_ID:
        raise OSError("the user namespace cannot be given its map of ids")


def _drop_to(uid: int, gid: int) -> None:
    os.setgroups([])
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _take_identity(run_as: str | list[int]) -> None:
    if run_as == "keep":
        return
    if isinstance(run_as, list):
        _drop_to(*run_as)
    else:
        _enter_namespace()
    _keep_only_the_way_to_the_files()


def main() -> int:
    """Take the identity, tie the life of this process to the owner's, become the server."""
    order = json.loads(sys.argv[1])
    try:
        _take_identity(order["run_as"])
    except OSError as problem:
        print(f"cannot take the identity {order['run_as']}: {problem}", file=sys.stderr)  # noqa: T201
        return CANNOT_TAKE_IDENTITY
    os.umask(0o077)
    # After every change of identity, since those clear it; the owner may have died before it was set.
    _prctl(_PR_SET_PDEATHSIG, order["death_signal"])
    if os.getppid() != order["owner"]:
        return OWNER_IS_GONE
    argv = order["argv"]
    try:
        os.execv(argv[0], argv)  # noqa: S606 (no shell is wanted)
    except OSError as problem:
        print(f"cannot execute {argv[0]}: {problem}", file=sys.stderr)  # noqa: T201
    return CANNOT_EXECUTE


if __name__ == "__main__":
    sys.exit(main())
