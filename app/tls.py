"""TLS between the hosts of a fleet: whom to trust, what to show, and how to renew it without a restart."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from app.errors import AssistantError

log = logging.getLogger(__name__)
LOOK_SECONDS = 30.0


class CertificateUnusable(AssistantError):
    """The certificate {file} cannot be used: {why}."""

    advice = "Give PEM files that belong together and that this user may read."


def trusting(
    ca_file: Path | None, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """A client's side: trust this CA, by default the machine's, and show a certificate if there is one.

    Raises:
        CertificateUnusable: a file is missing, damaged, or not the other's partner.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise CertificateUnusable(file=ca_file, why=_why(error)) from error
    if cert_file is not None:
        show(context, cert_file, key_file)
    return context


def showing(cert_file: Path, key_file: Path | None) -> ssl.SSLContext:
    """A server's side. Raises :class:`CertificateUnusable`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    show(context, cert_file, key_file)
    return context


def show(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    """From the next connection on, show this certificate. Raises :class:`CertificateUnusable`."""
    try:
        context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise CertificateUnusable(file=cert_file, why=_why(error)) from error


async def follow(
    context: ssl.SSLContext, cert_file: Path, key_file: Path | None, every: float = LOOK_SECONDS
) -> None:
    """Load the certificate again whenever its file has changed; one that cannot be used changes nothing."""
    known = _stamp(cert_file)
    while True:
        await asyncio.sleep(every)
        if (now := _stamp(cert_file)) == known:
            continue
        try:
            show(context, cert_file, key_file)
        except CertificateUnusable as error:  # half written perhaps: looked at again
            log.warning("%s", error.sentence())
            continue
        known = now
        log.info("the certificate %s was renewed", cert_file)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        facts = file.stat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_ino


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
