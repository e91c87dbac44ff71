"""Ports on this machine."""

from __future__ import annotations

import errno
import socket

from app.embedded.errors import AddressNotUsable, PortInUse


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nothing listened on a moment ago; the caller may lose the race for it."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def is_port_free(host: str, port: int) -> bool:
    """Whether a server can listen on ``host`` and ``port``."""
    try:
        ensure_port_free(host, port)
    except (PortInUse, AddressNotUsable):
        return False
    return True


def ensure_port_free(host: str, port: int) -> None:
    """Check that a server can listen on ``host`` and ``port``.

    Raises:
        PortInUse: something listens there.
        AddressNotUsable: not an address of this machine, or a port that this user may not use.
    """
    if not 0 <= port <= 65535:
        raise AddressNotUsable(host=host, port=port, why="ports go up to 65535")
    try:
        addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as problem:
        raise AddressNotUsable(host=host, port=port, why="no such address") from problem
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            # As servers do, so that connections of an earlier run that are still closing don't count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(address)
            except OSError as problem:
                if problem.errno == errno.EADDRINUSE:
                    raise PortInUse(host=host, port=port) from problem
                raise AddressNotUsable(
                    host=host, port=port, why=(problem.strerror or str(problem)).lower()
                ) from problem
