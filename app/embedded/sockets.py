"""Where the socket of a database can lie: in its folder, unless the path does not fit into an address."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from app.embedded.errors import DataFolderNotUsable

_LONGEST = 107 - len("/.s.PGSQL.5432")
"""Bytes of ``sun_path`` in unix(7) without the closing zero, less the name of PostgreSQL's socket."""
_PLAIN = re.compile(r"/[\w/.\-+ ]+")
"""Without the commas and quotes that mean something in PostgreSQL's lists of folders and hosts."""


def socket_place(folder: Path) -> Path:
    """The folder for the socket of the database in ``folder``: always the same one for the same user.

    Raises:
        DataFolderNotUsable: the path of the temporary folder is too long as well.
    """
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    name = f"ka-{os.geteuid()}-{digest}"
    temporary = (Path(tempfile.gettempdir()) / name, Path("/tmp") / name)  # noqa: S108 (made with care below)
    for place in (folder / "run", *temporary):
        if len(os.fsencode(place)) <= _LONGEST and _PLAIN.fullmatch(str(place)):
            return place
    raise DataFolderNotUsable(folder=folder, why="its path is too long for a socket")


def make_socket_folder(place: Path) -> Path:
    """Make ``place`` for this user only; another folder beside it when somebody took the name."""
    if os.geteuid() == 0 and place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)  # it may belong to the identity of an earlier run
    place.mkdir(mode=0o700, exist_ok=True)
    if place.is_symlink() or place.lstat().st_uid != os.geteuid():
        return Path(tempfile.mkdtemp(prefix="ka-", dir=place.parent))
    place.chmod(0o700)
    return place
