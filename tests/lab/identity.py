"""Who a host is, handed over at boot as systemd credentials: nothing in the image knows it.

Names are those of systemd.system-credentials(7); they need systemd 256 or newer inside the image.
"""

from __future__ import annotations

from tests.lab.shell import output
from tests.lab.state import Host, Place, Record


def make_key(where: Place) -> None:
    """A new SSH key for this lab, made on the spot; who has the lab's folder has its hosts."""
    for old in (where.key, where.key.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab-{where.name}", "-f", str(where.key))


def credentials(where: Place, record: Record, host: Host) -> dict[str, str]:
    """Name and value of each credential of one host. None of them is secret."""
    network = (
        "[Match]\nName=host0 en* eth*\n\n"
        f"[Network]\nAddress={record.address(host)}/{record.subnet.prefixlen}\n"
        "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )
    return {
        "network.network.10-lab": network,
        "network.hosts": hosts_file(record),
        "ssh.authorized_keys.root": where.key.with_suffix(".pub").read_text(),
        "system.hostname": host.name,
    }


def hosts_file(record: Record) -> str:
    """/etc/hosts of every host: the whole fleet by name."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{record.address(host)} {host.name}" for host in record.hosts.values()]
    return "\n".join(lines) + "\n"
