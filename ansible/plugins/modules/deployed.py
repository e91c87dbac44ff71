#!/usr/bin/python
"""Which releases a host has, which one it runs, and what is known of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: deployed
short_description: Which releases a host has, which one it runs, and what is known of them
options:
  folder:
    type: path
    required: true
    description: What the fleet remembers on each host; in C(bad) a file for each release that was taken back.
  drained: {type: path, required: true, description: "Folder whose files keep the host out of the balancer."}
  mark: {type: str, default: "", description: Store path of a release that is marked as bad.}
  reason: {type: str, default: "", description: Why.}
  keep:
    type: int
    default: 0
    description:
      - So many releases stay, the current one and those before it that are not marked as bad; 0 leaves all.
      - The others are forgotten, and what nothing needs any more is deleted. Two at least stay.
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: What is there
  deployed:
    folder: /var/lib/ka-fleet
    drained: /etc/knowledge-assistant/drained
"""
RETURN = """
current: {type: str, returned: always, description: Store path of the release that the profile names.}
before:
  type: list
  elements: dict
  returned: always
  description: "Generations before it, the last first: number, path. None twice, none marked as bad."
bad: {type: dict, returned: always, description: Reasons by store path.}
drained: {type: list, elements: str, returned: always, description: Who keeps the host out of the balancer.}
uncollected: {type: str, returned: always, description: Why what C(keep) does not keep is still there.}
runtime:
  type: list
  elements: str
  returned: always
  description: "What else runs from the current release: paths of interpreter and libraries."
"""
SPEC: dict[str, dict[str, Any]] = {
    "folder": {"type": "path", "required": True},
    "drained": {"type": "path", "required": True},
    "mark": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    "keep": {"type": "int", "default": 0},
}
PROFILE = Path("/nix/var/nix/profiles/ka")
STORE = "/nix/store/"
FEWEST = 2  # what runs, and what can be gone back to


def generations() -> dict[int, str]:
    """Store path by number."""
    links = PROFILE.parent.glob(f"{PROFILE.name}-*-link")
    numbered = ((re.fullmatch(r".*-(\d+)-link", str(link)), link) for link in links)
    return {int(match[1]): str(link.resolve()) for match, link in numbered if match}


def before(found: dict[int, str], current: str, bad: dict[str, str]) -> list[dict[str, Any]]:
    """What can be gone back to."""
    now = max((number for number, path in found.items() if path == current), default=0)
    seen, earlier = {current, *bad}, []
    for number in sorted((number for number in found if number < now), reverse=True):
        if found[number] not in seen:
            seen.add(found[number])
            earlier.append({"number": number, "path": found[number]})
    return earlier


def collect(module: AnsibleModule, kept: set[str]) -> str:
    """Forget all other releases, and delete what nothing needs; why that was not done, or nothing."""
    others = [str(number) for number, path in generations().items() if path not in kept]
    forget = ["nix-env", "--profile", str(PROFILE), "--delete-generations", *others]
    for command in ([forget] if others else []) + [["nix-store", "--gc"]]:
        code, _, err = module.run_command(command)
        if code != 0:
            return f"{command[0]}: {err.strip()}"
    return ""


def marks(folder: Path) -> dict[str, str]:
    """Reasons by store path."""
    return {f"{STORE}{path.name}": path.read_text(encoding="utf-8").strip() for path in _files(folder)}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    bad = Path(module.params["folder"]) / "bad"
    path = module.params["mark"]
    changed = bool(path) and path not in marks(bad)
    if changed and not module.check_mode:
        bad.mkdir(parents=True, exist_ok=True)
        (bad / path.removeprefix(STORE)).write_text(module.params["reason"] + "\n", encoding="utf-8")
    current = str(PROFILE.resolve()) if PROFILE.exists() else ""
    found, keep = marks(bad), module.params["keep"]
    earlier = before(generations(), current, found)
    uncollected = ""
    if keep and current and not module.check_mode:
        uncollected = collect(module, {current, *(one["path"] for one in earlier[: max(keep, FEWEST) - 1])})
    module.exit_json(
        changed=changed,
        current=current,
        before=earlier,
        uncollected=uncollected,
        bad=found,
        drained=[file.name for file in _files(Path(module.params["drained"]))],
        runtime=[str((PROFILE / "bin" / name).resolve()) for name in ("python", "rclone")],
    )


if __name__ == "__main__":
    main()
