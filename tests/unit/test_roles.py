"""The Ansible roles' form: what can be said without a host."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROLES = sorted(path for path in (ROOT / "ansible" / "roles").iterdir() if path.is_dir())
TOP = re.compile(r"^(\w+):", re.MULTILINE)


def test_the_pages_of_roles_and_ports_are_those_that_the_files_make() -> None:
    for name, text in runpy.run_path(str(ROOT / "tools" / "roles_reference.py"))["pages"]().items():
        written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert written == text, f"docs/reference/{name} is out of date: run python tools/roles_reference.py"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_declares_every_default_under_its_own_name(role: Path) -> None:
    defaults = role / "defaults" / "main.yml"
    if not defaults.exists():
        pytest.skip("this role has no defaults")
    names = TOP.findall(defaults.read_text(encoding="utf-8"))
    declared = (role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    assert [name for name in names if not name.startswith(f"{role.name}_")] == []
    assert [name for name in names if not re.search(rf"^      {name}:$", declared, re.MULTILINE)] == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_is_small_enough_to_be_read(role: Path) -> None:
    limits = {"defaults": 80, "tasks": 120}
    for path in role.rglob("*.yml"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines < limits.get(path.parent.name, 1000), f"{path} has {lines} lines"


def test_every_playbook_ends_with_how_it_is_used() -> None:
    for playbook in sorted((ROOT / "ansible" / "playbooks").glob("*.yml")):
        footer = playbook.read_text(encoding="utf-8").rstrip().rsplit("\n\n", 1)[-1]
        assert "ansible-playbook" in playbook.read_text(encoding="utf-8"), playbook.name
        assert footer.startswith("#"), f"{playbook.name} lacks its task tree"
