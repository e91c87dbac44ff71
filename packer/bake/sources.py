"""Where Debian packages come from: this machine's own apt sources, for Debian 13."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from packer.bake.errors import ImageError

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
RELEASE = "trixie"
HELP = (
    "The image's packages come from where this machine gets its own. Name a Debian mirror in "
    "/etc/apt/sources.list.d/debian.sources (Types: deb, Components: main), then run this again."
)


@dataclass(frozen=True)
class Archive:
    """One archive: its address, and its suites in the form that Debian 13 has them."""

    uri: str
    suites: tuple[str, ...]

    @property
    def public(self) -> bool:
        """Whether a host elsewhere can use the address: no file, no password in it."""
        parts = urlsplit(self.uri)
        return parts.scheme in ("http", "https") and "@" not in parts.netloc


def find(folder: Path = Path("/etc/apt")) -> list[Archive]:
    """The Debian archive and its security updates.

    Raises ImageError when either is not among this machine's sources.
    """
    main = security = ""
    for uri, suites in _entries(folder):
        for suite in suites:
            if suite.endswith(("-security", "/updates")):
                security = security or uri
            elif re.fullmatch(r"(bookworm|trixie|forky|sid|stable|testing|unstable|oldstable)", suite):
                main = main or uri
    if not main:
        raise ImageError(f"No Debian archive is among this machine's apt sources. {HELP}")
    if not security:
        raise ImageError(f"This machine's apt sources name no archive of security updates. {HELP}")
    return [
        Archive(main.rstrip("/"), (RELEASE, f"{RELEASE}-updates")),
        Archive(security.rstrip("/"), (f"{RELEASE}-security",)),
    ]


def stanzas(archives: list[Archive], *, public_only: bool = True) -> str:
    """The same as a deb822 file, for an image without what only this machine can reach."""
    return "\n".join(
        f"Types: deb\nURIs: {one.uri}\nSuites: {' '.join(one.suites)}\nComponents: main\n"
        f"Signed-By: {KEYRING}\n"
        for one in archives
        if one.public or not public_only
    )


def through(archives: list[Archive], base: str) -> list[Archive]:
    """The same archives, as the build's mirror serves them at the address `base`."""
    return [Archive(f"{base}/{number}", one.suites) for number, one in enumerate(archives)]


def _entries(folder: Path) -> Iterator[tuple[str, list[str]]]:
    parts = folder / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            yield from _stanza(stanza)
    for path in [folder / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            for line in path.read_text().splitlines():
                found = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+\S", line.strip())
                if found:
                    yield found[1], [found[2]]


def _stanza(text: str) -> Iterator[tuple[str, list[str]]]:
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            fields[name.strip().lower()] = value.strip()
    if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
        for uri in fields.get("uris", "").split():
            yield uri, fields.get("suites", "").split()
