"""Wait until services show the certificate that is on this host's disk.

Usage: served.py ADDRESS PORT..., where a port of PostgreSQL's is written 5432/postgres.
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import time
from pathlib import Path

OWN = Path("/etc/knowledge-assistant/tls/host.crt")
# the API looks at its files every 30 s
WAIT = 60.0
# https://www.postgresql.org/docs/17/protocol-message-formats.html, SSLRequest
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def shown(address: str, port: int, *, postgres: bool) -> bytes:
    """The certificate that a service shows, in DER; raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((address, port), timeout=5) as plain:
        if postgres:
            plain.sendall(SSL_REQUEST)
            if plain.recv(1) != b"S":
                raise OSError("it speaks no TLS")
        with context.wrap_socket(plain) as connection:
            return connection.getpeercert(binary_form=True) or b""


def wait(address: str, place: str, own: bytes, until: float) -> None:
    """Return when the service shows ``own``; end the program when it is too late."""
    port, _, kind = place.partition("/")
    while True:
        try:
            why = "shows another certificate"
            if shown(address, int(port), postgres=kind == "postgres") == own:
                return
        except OSError as error:
            why = f"does not answer: {error}"
        if time.monotonic() > until:
            sys.exit(f"Port {port} {why}, {WAIT:.0f} s after the new certificate was there.")
        time.sleep(0.5)


def main() -> None:
    """See above."""
    own = ssl.PEM_cert_to_DER_cert(OWN.read_text(encoding="ascii"))
    until = time.monotonic() + WAIT
    for place in sys.argv[2:]:
        wait(sys.argv[1], place, own, until)


main()
