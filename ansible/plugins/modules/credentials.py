#!/usr/bin/python
"""Keep secrets as systemd credentials: encrypted on the host, readable by the services that load them."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: credentials
short_description: Keep secrets as systemd credentials, encrypted with the host's own key
description:
  - Each goes to C(/etc/credstore.encrypted/PREFIX.NAME); a unit asks for it by C(LoadCredentialEncrypted=).
  - What is there already is opened and compared, so that nothing is written twice.
options:
  prefix: {type: str, required: true, description: What all names begin with; others are left alone.}
  values: {type: dict, required: true, description: Secrets by name.}
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: The key of the object store
  credentials: {prefix: ka, values: {objects.key: "{{ key }}"}}
"""
RETURN = """
names: {type: list, elements: str, returned: always, description: What was written or removed.}
"""
STORE = Path("/etc/credstore.encrypted")


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "str", "required": True},
            "values": {"type": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    prefix, values = module.params["prefix"], module.params["values"]
    wanted = {f"{prefix}.{name}": str(value) for name, value in values.items()}
    changed = [name for name, value in wanted.items() if _now(module, name) != value]
    gone = sorted({path.name for path in STORE.glob(f"{prefix}.*")} - set(wanted)) if STORE.is_dir() else []
    if not module.check_mode:
        for name in changed:
            _write(module, name, wanted[name])
        for name in gone:
            (STORE / name).unlink()
    module.exit_json(changed=bool(changed or gone), names=changed + gone)


def _now(module: AnsibleModule, name: str) -> str | None:
    if not (STORE / name).is_file():
        return None
    code, out, _ = module.run_command(["systemd-creds", "decrypt", f"--name={name}", str(STORE / name), "-"])
    return out if code == 0 else None


def _write(module: AnsibleModule, name: str, value: str) -> None:
    STORE.mkdir(mode=0o700, exist_ok=True)
    new = STORE / f".{name}.new"
    new.unlink(missing_ok=True)
    encrypt = ["systemd-creds", "encrypt", f"--name={name}", "-", str(new)]
    code, _, error = module.run_command(encrypt, data=value, binary_data=True)
    if code != 0:
        module.fail_json(msg=f"{name} could not be encrypted: {error.strip()}")
    os.chmod(new, 0o600)  # noqa: PTH101 -- systemd-creds leaves it as the umask says
    new.replace(STORE / name)


if __name__ == "__main__":
    main()
