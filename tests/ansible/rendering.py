"""Files of a role as it writes them to a host, from settings alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.ansible.running import OWN_PYTHON, ROOT, run

ROLES = ROOT / "ansible" / "roles"


def rendered(role: str, folder: Path, **settings: Any) -> dict[str, Path]:
    """By name, each file of a role's ``templates/tree`` as the action plugin ``tree`` renders it.

    Args:
        role: its name.
        folder: where they go, with the playbook that writes them.
        settings: variables; the role's own defaults and vars hold for all others.
    """
    place, target = ROLES / role, folder / role
    target.mkdir()
    # where lookups in them find the role's other templates
    (folder / "templates").symlink_to(place / "templates")
    files = sorted(path for path in (place / "templates" / "tree").rglob("*") if path.is_file())
    pairs = [{"src": str(path), "dest": str(target / path.name.removesuffix(".j2"))} for path in files]
    template = {"src": "{{ item.src }}", "dest": "{{ item.dest }}", "lstrip_blocks": True, "mode": "0644"}
    copy = {"src": "{{ item.src }}", "dest": "{{ item.dest }}", "mode": "0644"}
    play = {
        "name": "p",
        "hosts": "localhost",
        "connection": "local",
        "vars_files": [str(path) for part in ("defaults", "vars") for path in place.glob(f"{part}/main.yml")],
        "vars": {"role_path": str(place)},
        "tasks": [
            {"name": "t", "ansible.builtin.template": template, "loop": _of(pairs, templates=True)},
            {"name": "c", "ansible.builtin.copy": copy, "loop": _of(pairs, templates=False)},
        ],
    }
    (folder / "render.yml").write_text(json.dumps([play]), encoding="utf-8")
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    words = ["-i", "localhost,", str(folder / "render.yml"), "-e", f"@{folder / 'settings.json'}"]
    done = run("ansible-playbook", *words, home=folder, folder=folder, **OWN_PYTHON)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.name: path for path in target.iterdir()}


def _of(pairs: list[dict[str, str]], *, templates: bool) -> list[dict[str, str]]:
    return [pair for pair in pairs if pair["src"].endswith(".j2") is templates]
