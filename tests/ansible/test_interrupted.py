"""What the controller replaces can be ended at any point; see ansible/tests/interrupted.py."""

from __future__ import annotations

from pathlib import Path

from tests.ansible.running import ROOT, needs_ansible, run

pytestmark = needs_ansible


def test_a_controller_that_dies_while_it_replaces_what_it_keeps_locks_nobody_out(tmp_path: Path) -> None:
    script = ROOT / "ansible" / "tests" / "interrupted.py"
    done = run("python", str(script), str(ROOT / "ansible" / "plugins"), str(tmp_path), home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
