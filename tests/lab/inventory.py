"""The lab as an Ansible inventory, of the same form as that of a cloud."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.lab.state import Place, Record

COMMAND = Path(__file__).resolve().parents[2] / "tools" / "lab"


def variables(where: Place, record: Record) -> dict[str, str]:
    """What holds for all hosts."""
    options = f"-F none -o UserKnownHostsFile={where.known_hosts}/%h -o GlobalKnownHostsFile=none"
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(where.key),
        "ansible_ssh_common_args": f"{options} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
        "ansible_python_interpreter": "/usr/bin/python3",
        "fleet_name": where.name,
        "fleet_subnet": str(record.subnet),
        "refresh_command": shlex.join([str(COMMAND), "--name", where.name, "replace"]),
    }


def groups(record: Record) -> dict[str, dict[str, dict[str, str]]]:
    """Group, host, and the host's own variables: its address, and how its data disk is found."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for host in record.hosts.values():
        own = {"ansible_host": record.address(host)}
        if host.plan.disk:
            own |= {"disks_data_device": host.plan.disk_device, "disks_data_label": host.plan.disk_label}
        found.setdefault(host.plan.group, {})[host.name] = own
    return found


def yaml(where: Place, record: Record) -> str:
    """The inventory as YAML; every value is a quoted string."""
    lines = ["all:", "  vars:"]
    lines += [f"    {key}: {json.dumps(value)}" for key, value in variables(where, record).items()]
    lines.append("  children:")
    for group, hosts in groups(record).items():
        lines += [f"    {group}:", "      hosts:"]
        for name, own in hosts.items():
            lines.append(f"        {name}:")
            lines += [f"          {key}: {json.dumps(value)}" for key, value in own.items()]
    return "\n".join(lines) + "\n"
