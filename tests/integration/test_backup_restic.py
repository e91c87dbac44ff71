"""restic's exit codes and words, told as sentences; a program that says so stands in for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ka_backup import process
from ka_backup.config import Config, credential, decode
from ka_backup.errors import (
    BackupError,
    Incomplete,
    NoRepository,
    RepositoryAway,
    RepositoryLocked,
    Unusable,
    WrongPassword,
)
from ka_backup.restic import Entry, Repository, damage

SUMMARY = '{"message_type":"summary","snapshot_id":"' + 64 * "a" + '"}'
SNAPSHOTS = """[{"time":"2026-11-23T22:00:00.123456789+01:00","paths":["/x"],"hostname":"h","tags":["wal"],
 "id":"bb"},{"time":"2026-11-23T20:00:00Z","paths":null,"hostname":"h","id":"aa","summary":{"files_new":1}}]"""
PACK = 64 * "c"


class Stand:
    """A restic that does what a piece of shell says, and notes how it was called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.config = Config("postgres1", "postgres", str(folder / "repositories"))

    def does(self, shell: str) -> Repository:
        program = self._folder / "bin" / "restic"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$*" >> {self._folder}/calls\n{shell}\n')
        program.chmod(0o755)
        return Repository(self.config, "postgres1")

    @property
    def calls(self) -> list[str]:
        return (self._folder / "calls").read_text().splitlines()


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "ka.backup.password").write_text("hidden")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    return Stand(tmp_path)


@pytest.mark.parametrize(
    ("shell", "kind", "words"),
    [
        (
            "echo 'Fatal: dial tcp: connect: connection refused' >&2; exit 1",
            RepositoryAway,
            "does not answer",
        ),
        ("echo 'Fatal: x509: certificate has expired' >&2; exit 1", RepositoryAway, "certificates"),
        ("echo 'unexpected HTTP response (403): 403' >&2; exit 1", RepositoryAway, "refuses this host"),
        ("echo 'Fatal: write: no space left on device' >&2; exit 1", RepositoryAway, "no room"),
        ("echo 'Fatal: something else' >&2; exit 1", BackupError, "something else"),
        ("exit 2", BackupError, "says nothing"),
        ("echo 'cannot read a' >&2; exit 3", Incomplete, "cannot read a"),
        ("exit 10", NoRepository, "no repository"),
        ("exit 11", RepositoryLocked, "locked"),
        ("exit 12", WrongPassword, "no key for this password"),
        ("exit 130", BackupError, "interrupted"),
        ("exit 143", BackupError, "told to end"),
        ("kill -9 $$", BackupError, "signal"),
        ("exit 77", BackupError, "77"),
    ],
)
def test_every_way_to_fail_is_one_sentence(
    shell: str, kind: type[BackupError], words: str, stand: Stand
) -> None:
    with pytest.raises(BackupError) as caught:
        stand.does(shell).run("cat", "config")
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_the_password_is_a_file_and_in_no_command_line(stand: Stand) -> None:
    found = stand.does('cat "$RESTIC_PASSWORD_FILE"').run("cat", "config")
    assert found == "hidden"
    assert "hidden" not in stand.calls[0]


def test_without_a_credential_it_says_where_it_comes_from(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(Unusable, match=r"ImportCredential=ka\.backup\.password"):
        stand.does("exit 0").run("cat", "config")


def test_without_restic_it_says_so(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackupError, match="restic is not there"):
        Repository(stand.config, "postgres1").run("cat", "config")


def test_what_is_locked_is_tried_once_more_without_the_locks_of_the_dead(stand: Stand) -> None:
    gone = stand.config.url + ".unlocked"
    shell = f'case "$*" in *unlock*) touch {gone};; *) [ -e {gone} ] || exit 11;; esac'
    stand.does(shell).run("cat", "config")
    assert [line.split()[-1] for line in stand.calls] == ["config", "unlock", "config"]


def test_a_reader_takes_no_lock_and_removes_none(stand: Stand) -> None:
    stand.does("exit 11")
    with pytest.raises(RepositoryLocked):
        Repository(stand.config, "postgres1", reader=True).run("snapshots")
    assert len(stand.calls) == 1
    assert "--no-lock" in stand.calls[0]


def test_one_that_hangs_is_ended_with_all_that_it_started(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "FAREWELL", 0.5)
    repository = stand.does(f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; wait; sleep 60")
    began = time.monotonic()
    with pytest.raises(RepositoryAway, match="not through"):
        repository.run("cat", "config", seconds=1)
    assert time.monotonic() - began < 10
    child = (tmp_path / "child").read_text().strip()
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", child], capture_output=True, text=True, check=False
    ).stdout
    assert listed.strip()[:1] in {"", "Z"}


def test_a_network_that_goes_ends_it_long_before_restic_gives_up(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE", 0.5)
    repository = stand.does("echo 'Save(<data/1>) returned error, retrying after 1s: dial tcp' >&2; sleep 60")
    began = time.monotonic()
    with pytest.raises(RepositoryAway, match="does not answer"):
        repository.backup_folder("/x", ["wal"], seconds=60)
    assert time.monotonic() - began < 10


def test_a_network_that_comes_back_ends_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", 0.5)
    said = (
        "echo 'Save() returned error, retrying after 1s' >&2; echo 'operation successful after 1 retries' >&2"
    )
    assert stand.does(f"{said}; sleep 1.5; echo '{SUMMARY}'").backup_folder("/x", ["wal"]) == 64 * "a"


def test_a_repository_that_takes_no_connection_is_away_at_once(stand: Stand) -> None:
    config = Config("postgres1", "postgres", "rest:https://127.0.0.1:9")
    stand.does("exit 0")
    with pytest.raises(RepositoryAway, match="does not answer"):
        Repository(config, "postgres1").run("cat", "config")


def test_snapshots_that_restic_leaves_out_are_named(stand: Stand) -> None:
    said = f'Ignoring "{PACK}": failed to load snapshot cccccccc: LoadRaw: invalid data returned'
    repository = stand.does(f"echo '{said}' >&2; echo '[]'")
    assert repository.snapshots() == []
    assert repository.damaged == ["postgres1, cccccccc: This snapshot is damaged."]
    stand.does("echo '[]'")
    repository.snapshots()
    assert repository.damaged == []


def test_a_restic_that_breaks_down_is_told_by_its_first_words(stand: Stand) -> None:
    shell = "echo 'panic: runtime error' >&2; echo '\tmain.go:172 +0x267' >&2; exit 2"
    with pytest.raises(BackupError, match="with 2: panic: runtime error"):
        list(stand.does(shell).ls("x"))


@pytest.mark.parametrize(
    "error", [RepositoryAway("unexpected EOF"), BackupError("ciphertext"), Incomplete("no JSON")]
)
def test_what_is_damaged_in_a_repository_that_answers_is_damaged(stand: Stand, error: BackupError) -> None:
    stand.does("exit 0").blame(error)


@pytest.mark.parametrize(
    "error",
    [
        RepositoryAway("It does not answer"),
        RepositoryAway("It has no room left; give it a larger disk"),
        WrongPassword("x"),
        RepositoryLocked("x"),
        NoRepository("x"),
        Unusable("x"),
    ],
)
def test_what_is_about_the_whole_repository_is_no_damage(stand: Stand, error: BackupError) -> None:
    with pytest.raises(type(error)):
        stand.does("echo 'dial tcp: connection refused' >&2; exit 1").blame(error)


def test_a_backup_that_names_no_snapshot_is_none(stand: Stand) -> None:
    with pytest.raises(BackupError, match="named no snapshot"):
        stand.does("exit 0").backup_folder("/x", ["wal"])


def test_an_incomplete_backup_names_its_snapshot(stand: Stand) -> None:
    with pytest.raises(Incomplete) as caught:
        stand.does(f"echo '{SUMMARY}'; exit 3").backup_folder("/x", ["wal"])
    assert caught.value.snapshot == 64 * "a"


def test_snapshots_come_oldest_first_in_utc(stand: Stand) -> None:
    found = stand.does(f"cat <<'E'\n{SNAPSHOTS}\nE").snapshots(["wal"])
    assert [(each.id, each.time.isoformat(), each.tags) for each in found] == [
        ("aa", "2026-11-23T20:00:00+00:00", ()),
        ("bb", "2026-11-23T21:00:00.123456+00:00", ("wal",)),
    ]
    assert "--tag=wal" in stand.calls[0]


def test_a_file_that_is_read_is_whole_or_not_there(stand: Stand, tmp_path: Path) -> None:
    target = tmp_path / "base.tar"
    with pytest.raises(BackupError):
        stand.does("printf half; exit 1").dump("aa", "/base.tar", target)
    assert not target.exists()
    stand.does("printf whole").dump("aa", "/base.tar", target)
    assert target.read_text() == "whole"
    assert sorted(path.name for path in tmp_path.glob("base*")) == ["base.tar"]


def test_files_of_a_snapshot_are_listed_without_its_folders(stand: Stand) -> None:
    lines = '{"message_type":"snapshot"}\n{"type":"dir","path":"/x"}\n{"type":"file","path":"/x/a","size":3}'
    assert list(stand.does(f"cat <<'E'\n{lines}\nE").ls("aa")) == [Entry("/x/a", 3)]


def test_texts_lie_at_the_snapshots_root(stand: Stand) -> None:
    shell = f"echo '{SUMMARY}'; cat set.json objects.txt >&2"
    assert stand.does(shell).backup_text({"set.json": "{}", "objects.txt": ""}, ["set"]) == 64 * "a"
    assert stand.calls[0].endswith("-- objects.txt set.json")


def test_a_repository_that_is_missing_is_made(stand: Stand) -> None:
    repository = stand.does('case "$*" in *cat*) exit 10;; esac')
    repository.init_if_missing()
    assert stand.calls[-1].endswith("init")


def test_packs_that_a_check_names_are_told_by_their_names() -> None:
    said = "\n".join(
        [
            f'{{"message_type":"error","message":"Pack {PACK} contains 1 errors: [hash does not match]"}}',
            f'{{"message_type":"error","message":"\\nrestic repair packs {PACK}\\n"}}',
        ]
    )
    summary = f'{{"message_type":"summary","num_errors":1,"broken_packs":["{PACK}"]}}'
    found = damage(summary, said)
    assert found[0] == f"pack {PACK}"
    assert not any("repair" in each for each in found)


def test_a_check_tells_damage_from_a_repository_that_is_away(stand: Stand) -> None:
    gone = f'{{"message_type":"error","message":"pack {PACK}: does not exist"}}'
    assert stand.does(f"echo '{gone}' >&2; exit 1").check("1/7")[0] == f"pack {PACK}"
    with pytest.raises(RepositoryAway):
        stand.does("echo 'Fatal: error: dial tcp: connection refused' >&2; exit 1").check("1/7")
    assert stand.does("exit 0").check() == []


@pytest.mark.parametrize("found", [[], {"host": "a"}, {"host": "a", "group": "b", "url": 1}])
def test_settings_that_cannot_be_used_are_refused(found: object) -> None:
    with pytest.raises(Unusable, match=r"site\.yml"):
        decode(found)


def test_a_credential_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(Unusable, match=r"ka\.backup\.other"):
        credential("ka.backup.other")


def test_a_command_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    role = Path(__file__).parent.parent.parent / "ansible" / "roles" / "restic"
    (tmp_path / "ka_backup").symlink_to(role / "files" / "ka_backup")
    program = tmp_path / "backup"
    program.write_bytes((role / "templates/tree/usr/local/lib/knowledge-assistant/backup").read_bytes())
    words = [sys.executable, "-IB", str(program), "nothing"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "“nothing” is no command" in done.stderr
    assert "retention" in done.stderr
