"""``ka serve`` as people start and stop it: one owner, no process left, everything found again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded.ports import free_port
from app.embedded.process import LAUNCHER
from tests.support.documents import note
from tests.support.running import QUICK, ROOT, Service, alive, descendants, environment, serving, wait_until

NOBODY = 65534
KA = [sys.executable, "-m", "app.cli"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def variables(model_dir: Path) -> dict[str, str]:
    return environment(model_dir, QUICK)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that the tests of this module start and stop in turn; the first start takes long."""
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module")
def service(data: Path, variables: dict[str, str]) -> Iterator[Service]:
    with serving(data, variables, options=["--workers", "1"]) as service:
        service.upload("kept.txt", note("keptword"))
        assert [one["state"] for one in service.settled()] == ["ready"]
        yield service


def ka(
    *arguments: str, url: str = "http://127.0.0.1:9", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that talks to a service."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [*KA, *arguments],
        env=kept | {"PYTHONPATH": str(ROOT), "KA_SERVER__URL": url} | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def one_sentence(told: str) -> str:
    lines = [line for line in told.splitlines() if line.startswith("ka:")]
    assert "Traceback" not in told
    assert len(lines) == 1, told
    return lines[0]


def part(service: Service, name: str) -> str:
    parts: dict[str, str] = service.request("GET", "/readyz").json()["parts"]
    return parts[name]


def test_a_second_service_on_the_same_data_folder_is_refused_in_one_sentence(
    service: Service, data: Path, variables: dict[str, str]
) -> None:
    second = subprocess.run(
        [*KA, "serve", "--data", str(data), "--port", str(free_port())],
        env=variables, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert str(service.main.pid) in one_sentence(second.stderr)
    assert service.answers()


def test_a_port_in_use_is_told_in_one_sentence(tmp_path: Path, variables: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        second = subprocess.run(
            [*KA, "serve", "--data", str(tmp_path / "data"), "--port", str(port)],
            env=variables, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert second.returncode == 1
    assert str(port) in one_sentence(second.stderr)


def test_each_command_tells_in_one_line_that_no_service_answers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    for command in (["status"], ["ask", "why?"], ["search", "why"], ["ingest", str(tmp_path)], ["retry"]):
        ended = ka(*command)
        assert ended.returncode == 1, command
        assert "127.0.0.1:9" in one_sentence(ended.stderr)


def test_a_wrong_setting_is_told_with_the_right_one_and_exit_code_2() -> None:
    ended = ka("config", "check", KA_SERVER__PROT="1")
    assert ended.returncode == 2
    assert "server.port" in one_sentence(ended.stderr)


def test_status_and_ingest_speak_of_the_files_people_see(service: Service, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub" / "seen.txt").write_bytes(note("seenword"))
    (tmp_path / ".hidden.txt").write_bytes(note("hiddenword"))
    (tmp_path / ".git" / "config.txt").write_bytes(note("gitword"))
    base = service.make("folder")
    ended = ka("ingest", str(tmp_path), "--base", base, url=service.url)
    assert (ended.returncode, ended.stdout.strip()) == (0, "1 ready"), ended.stderr
    ended = ka("status", "--json", "--base", base, url=service.url)
    status = json.loads(ended.stdout)
    assert [(one["name"], one["state"]) for one in status["documents"]] == [("sub/seen.txt", "ready")]
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    ended = ka("ingest", str(tmp_path), "--base", base, url=service.url)
    assert ended.returncode == 1
    assert "broken.pdf: " in ended.stderr
    assert ka("ingest", "/nowhere/at/all", url=service.url).returncode == 1
    ended = ka("ask", "Where is the seenword kept?", "--base", base, "--json", url=service.url)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["citations"]
    assert ka("status", "--base", "nowhere", url=service.url).returncode == 1


def test_a_part_that_is_away_is_named_and_comes_back(service: Service) -> None:
    family = descendants(service.main.pid)
    chroma = next(pid for pid in family if "chromadb_rust_bindings" in command_of(pid))
    postgres = next(pid for pid in family if "/postgres\0-D" in command_of(pid))
    ready = service.request("GET", "/readyz").json()
    assert (ready["ready"], ready["parts"]) == (True, {"database": "ok", "objects": "ok", "chroma": "ok"})
    os.kill(chroma, signal.SIGSTOP)
    try:
        answer = service.request("GET", "/readyz")
        assert answer.status_code == 200  # questions are answered by words alone
        assert answer.json()["parts"]["chroma"] != "ok"
    finally:
        os.kill(chroma, signal.SIGKILL)
    wait_until(lambda: part(service, "chroma") == "ok", 20, "Chroma")
    objects = service.data / "objects"
    objects.rename(objects.with_name("away"))
    objects.touch()
    try:
        answer = service.request("GET", "/readyz")
        assert answer.status_code == 200  # questions need no object
        assert answer.json()["parts"]["objects"] != "ok"
    finally:
        objects.unlink()
        objects.with_name("away").rename(objects)
    servers = [postgres, *descendants(postgres)]
    for pid in servers:
        os.kill(pid, signal.SIGSTOP)
    try:
        answer = service.request("GET", "/readyz")
        assert answer.status_code == 503
        assert answer.json()["parts"]["database"] != "ok"
        assert answer.json()["parts"]["objects"] == "ok"
    finally:
        for pid in servers:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: part(service, "database") == "ok", 20, "PostgreSQL")
    os.kill(postgres, signal.SIGKILL)

    def answered() -> bool:
        answer = service.request("GET", "/api/v1/knowledge-bases/default/documents")
        assert answer.status_code in {200, 503}, answer.text
        return answer.is_success

    wait_until(answered, 40, "PostgreSQL after its death")
    service.upload("after.txt", note("afterword"))
    assert {one["state"] for one in service.settled()} == {"ready"}
    wait_until(lambda: not service.search("afterword")["degraded"], 30, "the index")


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_after_every_end_no_process_is_left_and_the_next_start_finds_everything(
    data: Path, variables: dict[str, str], number: signal.Signals, service: Service
) -> None:
    if service.main.process.poll() is None:
        assert service.main.stop() == 0
    with serving(data, variables, options=["--workers", "1"]) as again:
        assert "kept.txt" in {one["name"] for one in again.documents()}
        assert again.search("keptword")["passages"]
        again.upload(f"{number}.txt", note(f"signal{number}word"))
        code = again.main.stop(number)
        assert code == (-9 if number == signal.SIGKILL else 0)
        wait_until(lambda: not again.main.left(), 10, "the end of its processes")
        assert "Traceback" not in again.main.told()
    with serving(data, variables, options=["--workers", "1"]) as again:
        assert {one["state"] for one in again.settled()} == {"ready"}
        assert again.search(f"signal{number}word")["passages"]


@as_root
def test_an_ordinary_user_can_run_it(
    data: Path, variables: dict[str, str], tmp_path: Path, service: Service
) -> None:
    if service.main.process.poll() is None:
        service.main.stop()
    home = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    os.chown(home, NOBODY, NOBODY)
    port = free_port()
    # through the launcher, which lets this user reach an interpreter below closed folders
    argv = [*KA, "serve", "--data", str(home / "data"), "--port", str(port), "--workers", "1"]
    order = {"owner": os.getpid(), "death_signal": 9, "run_as": [NOBODY, NOBODY], "argv": argv}
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(order)],
            env=variables | {"HOME": str(home)}, cwd=ROOT, stdout=errors, stderr=errors,
        )  # fmt: skip
    family: set[int] = set()
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: healthy(url) or process.poll() is not None, 90, "a start as nobody")
        assert process.poll() is None, (tmp_path / "errors").read_text()
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            path = "/api/v1/knowledge-bases/default/documents"
            client.post(path, files={"file": ("a.txt", note("nobodyword"))}).raise_for_status()
            wait_until(lambda: states(client, path) == {"ready"}, 60, "its document")
        family = descendants(process.pid)
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in family} == {NOBODY}
    finally:
        family |= descendants(process.pid)
        process.terminate()
        process.wait(30)
        wait_until(lambda: not any(alive(pid) for pid in family), 10, "the end of its processes")
        shutil.rmtree(home)


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def states(client: httpx.Client, path: str) -> set[Any]:
    return {one["state"] for one in client.get(path).json()}


def test_a_model_that_is_missing_is_told_in_one_sentence(
    data: Path, variables: dict[str, str], tmp_path: Path, service: Service
) -> None:
    if service.main.process.poll() is None:
        service.main.stop()
    copy = tmp_path / "data"  # made already, so that the start is quick
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*.sock", ".s.*", "run"))
    started = time.monotonic()
    ended = subprocess.run(
        [*KA, "serve", "--data", str(copy), "--port", str(free_port()), "--workers", "1"],
        env=variables | {"KA_EMBEDDING__MODEL_DIR": str(tmp_path / "none")},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "embedding model" in one_sentence(ended.stderr)
    assert time.monotonic() - started < 30
