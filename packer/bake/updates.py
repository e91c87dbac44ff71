"""Whether the security updates of the day are in an image: asked from this machine's apt, about its list."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from packer.bake import disk, sources
from packer.bake.errors import ImageError
from packer.bake.run import program


def missing(image: Path) -> list[str]:
    """What `apt-get dist-upgrade` would do on a host made from the image now, by lists of now.

    Neither mounts nor boots the image: apt is given its package list. Raises ImageError when the archive
    cannot be read.
    """
    status = disk.read(image, "/var/lib/dpkg/status")
    if status is None:
        raise ImageError(f"{image} has no list of packages.")
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for name in ("lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/preferences.d"):
            (top / name).mkdir(parents=True)
        (top / "status").write_text(status)
        (top / "etc/sources.list.d/all.sources").write_text(
            sources.stanzas(sources.find(), public_only=False)
        )
        settings = {
            "Dir::Etc": f"{top}/etc",
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": f"{top}/etc/sources.list.d",
            "Dir::State::Lists": f"{top}/lists",
            "Dir::State::status": f"{top}/status",
            "Dir::State::extended_states": f"{top}/extended_states",
            "Dir::Cache": f"{top}/cache",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "",
        }
        (top / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
        _apt(top, "update")
        planned = _apt(top, "--simulate", "dist-upgrade")
    return re.findall(r"^(?:Inst|Remv) .*$", planned, re.MULTILINE)


def _apt(top: Path, *arguments: str) -> str:
    # after the machine's own settings, which may name a proxy
    command = [
        program("apt-get"),
        "--quiet",
        f"--config-file={top / 'apt.conf'}",
        "--error-on=any",
        *arguments,
    ]
    if arguments[0] != "update":
        command.remove("--error-on=any")
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if ended.returncode != 0:
        raise ImageError(f"The archive's lists could not be read: {ended.stderr.strip()[-300:]}")
    return ended.stdout
