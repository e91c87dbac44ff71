"""What stands beside the image: manifest, SBOM; and what is checked before it gets its name."""

import dataclasses
import datetime
import hashlib
import re
from pathlib import Path
from typing import Any

from packer.bake import audit, budget, disk, sbom
from packer.bake.errors import ImageError
from packer.bake.run import Progress, write_json

NAME = "knowledge-assistant"


@dataclasses.dataclass(frozen=True)
class Release:
    """A release as tools/release.sh leaves it: a store path in a signed cache."""

    path: str
    cache: Path
    public_key: str

    def variables(self) -> dict[str, str]:
        """What the playbook wants to know."""
        return {
            "release_path": self.path,
            "release_cache": str(self.cache),
            "release_public_key": self.public_key,
        }

    def info(self, path: str) -> dict[str, str]:
        """What the cache says about a store path of the closure."""
        digest = path.removeprefix("/nix/store/").split("-", 1)[0]
        rows = (row.partition(": ") for row in (self.cache / f"{digest}.narinfo").read_text().splitlines())
        return {name: value for name, _, value in rows}

    def closure(self) -> list[str]:
        """All store paths, sorted."""
        todo, found = [self.path], set[str]()
        while todo:
            path = todo.pop()
            if path not in found:
                found.add(path)
                todo += [f"/nix/store/{name}" for name in self.info(path).get("References", "").split()]
        return sorted(found)


def release(folder: Path) -> Release:
    """Read the folder that tools/release.sh made. Raises ImageError when it is not one."""
    folder = folder.resolve()
    try:
        path = (folder / "path").read_text().strip()
        key = (folder / "release.pub").read_text().strip()
    except OSError as error:
        raise ImageError(
            f"{folder} holds no release ({error.strerror}: {error.filename}). Make one with "
            f"tools/release.sh {folder}, or leave --release out."
        ) from None
    found = Release(path, folder / "cache", key)
    try:
        found.closure()
    except OSError as error:
        raise ImageError(
            f"The cache {found.cache} lacks a part of {path} ({error.filename}): "
            f"run tools/release.sh {folder} again."
        ) from None
    return found


def write(
    image: Path,
    output: Path,
    shipped: Release,
    built: dict[str, object],
    lists: list[dict[str, str]],
    progress: Progress,
) -> dict[str, object]:
    """Check the image, write what stands beside it, and give all of it its name.

    Raises ImageError when the image holds what it must not, lacks what it must have, or is too large.
    """
    audit.check(image, shipped.path)
    packages = debian_packages(image)
    use = disk.usage(image)
    budget.check(use.root)
    version = application_version(image, shipped.path)
    manifest: dict[str, object] = {
        "image": f"{NAME}.raw",
        "made": datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat(),
        "closure": {
            "path": shipped.path,
            "nar_hash": shipped.info(shipped.path)["NarHash"],
            "paths": closure(shipped),
        },
        "release": version["release"],
        "commit": version["commit"],
        "built": built,
        "archive": lists,
        "packages": packages,
        "size": {"disk_bytes": disk.SIZE, "used_bytes": use.root, "file_bytes": use.file},
        "sha256": sha256(image),
    }
    write_json(
        output / "sbom.cdx.json", sbom.document(manifest, python_packages(image, shipped), version["release"])
    )
    manifest["seconds"] = progress.seconds
    image.replace(output / f"{NAME}.raw")
    write_json(output / "manifest.json", manifest)
    return manifest


def closure(shipped: Release) -> list[dict[str, Any]]:
    """Store path, NAR hash and size of each part of the closure."""
    rows = []
    for path in shipped.closure():
        info = shipped.info(path)
        rows.append({"path": path, "nar_hash": info["NarHash"], "nar_bytes": int(info["NarSize"])})
    return rows


def debian_packages(image: Path) -> list[dict[str, str]]:
    """Name, version, architecture and source of each installed Debian package, by dpkg's own record."""
    status = disk.read(image, "/var/lib/dpkg/status")
    if status is None:
        raise ImageError("The image has no list of packages: is it a Debian?")
    found = []
    for stanza in status.split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][A-Za-z-]*): (.*)$", stanza, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            names = {
                "name": "Package",
                "version": "Version",
                "architecture": "Architecture",
                "source": "Source",
            }
            found.append({ours: fields[theirs] for ours, theirs in names.items() if theirs in fields})
    return sorted(found, key=lambda one: (one["name"], one["architecture"]))


def application_version(image: Path, path: str) -> dict[str, str]:
    """Release and commit, as the closure's own command names them."""
    command = disk.read(image, f"{path}/bin/ka") or ""
    commit = re.search(r'KA_COMMIT="([^"]*)"', command)
    number = re.search(r"-(\d[^-/]*)$", path)
    return {"release": number[1] if number else "unknown", "commit": commit[1] if commit else "unknown"}


def python_packages(image: Path, shipped: Release) -> list[tuple[str, str]]:
    """Name and version of each Python package that is really there, by its metadata folder."""
    found = set[tuple[str, str]]()
    for path in shipped.closure():
        for version in disk.names(image, f"{path}/lib"):
            for name in disk.names(image, f"{path}/lib/{version}/site-packages"):
                known = re.fullmatch(r"(.+)-([^-]+)\.dist-info", name)
                if known:
                    found.add((re.sub(r"[-_.]+", "-", known[1]).lower(), known[2]))
    return sorted(found)


def sha256(path: Path) -> str:
    """The file's checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
