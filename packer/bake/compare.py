"""What differs between the file trees of two images: names, kinds, rights, owners, contents; not times."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from packer.bake import guest
from packer.bake.errors import ImageError
from packer.bake.run import ROOT, program

Differences = dict[str, list[str]]


def images(first: Path, second: Path) -> Differences:
    """Mount both read-only, in a mount namespace of their own, and compare; ImageError without root."""
    if os.geteuid() != 0:
        raise ImageError("Comparing images needs root: it mounts them. Run it with sudo.")
    command = [
        program("unshare"),
        "--mount",
        "--propagation",
        "private",
        sys.executable,
        "-m",
        "packer.bake.compare",
    ]
    ended = subprocess.run(
        [*command, str(first.resolve()), str(second.resolve())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise ImageError(ended.stderr.strip())
    found: Differences = json.loads(ended.stdout)
    return found


def trees(first: Path, second: Path) -> Differences:
    """Names that only one has, and those whose content or description differs."""
    one, other = tree(first), tree(second)
    both = one.keys() & other.keys()
    return {
        "only in the first": sorted(one.keys() - other.keys()),
        "only in the second": sorted(other.keys() - one.keys()),
        "different": sorted(name for name in both if one[name] != other[name]),
    }


def tree(top: Path) -> dict[str, str]:
    """Each path with what describes it: kind, rights, owner, and content or target."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files]:
            path = Path(folder, name)
            found["/" + str(path.relative_to(top))] = _describe(path)
    return found


def _describe(path: Path) -> str:
    about = path.lstat()
    text = f"{about.st_mode:o} {about.st_uid}:{about.st_gid}"
    if stat.S_ISLNK(about.st_mode):
        return f"{text} -> {path.readlink()}"
    if stat.S_ISREG(about.st_mode):
        with path.open("rb") as file:
            return f"{text} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    return text


def text(differences: Differences) -> str:
    """For people."""
    lines = []
    for what, names in differences.items():
        lines.append(f"{what}: {len(names)}")
        lines += [f"  {name}" for name in names]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Inside of the mount namespace."""
    with tempfile.TemporaryDirectory() as folder:
        a, b = Path(folder, "a"), Path(folder, "b")
        try:
            with (
                guest.mounted(Path(sys.argv[1]), a, "ro,noload"),
                guest.mounted(Path(sys.argv[2]), b, "ro,noload"),
            ):
                sys.stdout.write(json.dumps(trees(a, b)))
        except ImageError as error:
            sys.stderr.write(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
