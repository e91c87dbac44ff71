"""Figures of several processes in one folder: who has ended is forgotten, who lives is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.metrics_folder import FOLDER, forget_former_runs, share_metrics

COUNTING = """
import sys
from prometheus_client import Counter
Counter("questions", "Asked.").inc(int(sys.argv[1]))
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(FOLDER, raising=False)
    share_metrics(tmp_path)
    return Path(os.environ[FOLDER])


def counting(number: int) -> subprocess.Popen[str]:
    """A process that has counted so far, and lives until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "counted\n"
    return process


def figures(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("*.db")}


def test_a_new_service_forgets_processes_that_have_ended_and_keeps_those_beside_it(folder: Path) -> None:
    with counting(3) as ended:
        ended.communicate()
    with counting(4) as beside:
        try:
            assert figures(folder) == {f"counter_{ended.pid}.db", f"counter_{beside.pid}.db"}
            forget_former_runs()
            assert figures(folder) == {f"counter_{beside.pid}.db"}
        finally:
            beside.communicate()


def test_a_folder_that_is_named_already_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "shared"))
    share_metrics(tmp_path / "own")
    assert os.environ[FOLDER] == str(tmp_path / "shared")
    assert (tmp_path / "shared").is_dir()
    assert not (tmp_path / "own").exists()
