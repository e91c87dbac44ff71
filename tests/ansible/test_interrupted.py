"""What the controller replaces can be ended at any point; see ansible/tests/interrupted.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-ops" / "bin" / "python"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="Ansible is not set up: tools/ops.sh .venv-ops")


def test_a_controller_that_dies_while_it_replaces_what_it_keeps_locks_nobody_out(tmp_path: Path) -> None:
    script = ROOT / "ansible" / "tests" / "interrupted.py"
    done = subprocess.run(
        [str(PYTHON), str(script), str(ROOT / "ansible" / "plugins"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
