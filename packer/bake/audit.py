"""What must not be in an image, and what must: looked up from outside, without booting it."""

import re
from pathlib import Path

from packer.bake import disk
from packer.bake.errors import ImageError

PROFILE = "/nix/var/nix/profiles/ka"
# Each would be the same on every host made from the image, or is somebody's.
ABSENT = {
    "/etc/ssh": r"ssh_host_.*",
    "/root/.ssh": r".*",
    "/root": r"\.bash_history|\.ansible|\.cache",
    "/etc": r"hostname|passwd-|shadow-",
    "/var/lib/systemd": r"random-seed|credential\.secret",
    "/var/lib/chrony": r".*drift.*",
    "/var/lib/dbus": r"machine-id",
    "/var/log/journal": r".*",
    "/var/lib/apt/lists": r".*(InRelease|Packages.*)",
    "/etc/apt/apt.conf.d": r".*prox.*",
}


def problems(image: Path, release_path: str) -> list[str]:
    """Each thing that is wrong, as a sentence."""
    found = []
    for folder, pattern in ABSENT.items():
        found += [
            f"{folder}/{name} is in it" for name in disk.names(image, folder) if re.fullmatch(pattern, name)
        ]
    if disk.read(image, "/etc/machine-id") != "":
        found.append("/etc/machine-id is not empty")
    shadow = disk.read(image, "/etc/shadow") or ""
    for row in shadow.splitlines():
        name, secret = row.split(":")[:2]
        if secret not in ("*", "!", "!*", "!!"):
            found.append(f"{name} has a password")
    if not shadow:
        found.append("/etc/shadow is missing")
    for name in disk.names(image, "/etc/apt/sources.list.d"):
        if "10.0.2.2" in (disk.read(image, f"/etc/apt/sources.list.d/{name}") or ""):
            found.append(f"the build's mirror is named in {name}")
    generation = disk.link(image, PROFILE)
    current = disk.link(image, f"/nix/var/nix/profiles/{generation}") if generation else None
    if current != release_path:
        found.append(f"the profile points to {current}, not to {release_path}")
    return found


def check(image: Path, release_path: str) -> None:
    """Raises ImageError that names all problems."""
    found = problems(image, release_path)
    if found:
        raise ImageError("The image is not fit to be copied: " + "; ".join(found) + ".")
