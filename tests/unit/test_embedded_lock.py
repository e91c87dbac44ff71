"""One owner per data folder, and ports that are told before a server stumbles over them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from app.embedded.errors import AddressNotUsable, DataFolderInUse, DataFolderNotUsable, PortInUse
from app.embedded.lock import DataFolderLock
from app.embedded.ports import ensure_port_free, free_port, is_port_free

ROOT = Path(__file__).parents[2]
HOLDER = """
import os, sys, time
from pathlib import Path
from app.embedded.lock import DataFolderLock
lock = DataFolderLock(Path(sys.argv[1]))
lock.acquire()
if len(sys.argv) > 2 and os.fork() == 0:
    time.sleep(60)
print("held", flush=True)
time.sleep(60)
"""


def holder(folder: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *more],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        process_group=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path / "a" / "data"):
        assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_exists_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with DataFolderLock(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("children", [(), ("with a forked child",)])
def test_another_process_is_named_and_its_death_releases_the_folder(
    tmp_path: Path, children: tuple[str, ...]
) -> None:
    with holder(tmp_path, *children) as process:
        try:
            with pytest.raises(DataFolderInUse) as caught, DataFolderLock(tmp_path):
                pass
            assert f"process {process.pid}" in caught.value.message
            process.kill()
            process.wait()
            deadline = time.monotonic() + 5
            while True:
                try:
                    with DataFolderLock(tmp_path):
                        break
                except DataFolderInUse:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    first, second = DataFolderLock(tmp_path), DataFolderLock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(DataFolderInUse):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    assert second.held
    second.release()


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/data"])
def test_a_place_that_cannot_hold_data_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataFolderNotUsable, match="cannot be used"), DataFolderLock(tmp_path / name):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told_in_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataFolderNotUsable, match="permission denied"), DataFolderLock(tmp_path):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", ""])
def test_a_port_in_use_is_told_with_the_settings_that_change_it(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)) as caught:
            ensure_port_free(host, port)
        assert "--port" in caught.value.sentence()
        assert "server.port" in caught.value.sentence()
        assert not is_port_free(host, port)


def test_a_free_port_is_fine() -> None:
    ensure_port_free("127.0.0.1", free_port())


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_ours_is_told_in_a_sentence(host: str) -> None:
    with pytest.raises(AddressNotUsable, match="cannot listen"):
        ensure_port_free(host, 8000)


def test_a_number_that_is_no_port_is_told_in_a_sentence() -> None:
    with pytest.raises(AddressNotUsable, match="65535"):
        ensure_port_free("127.0.0.1", 70000)
