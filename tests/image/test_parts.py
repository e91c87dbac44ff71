"""Parts of the baking that need no image and no rights."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from packer.bake import compare, mirror, sources
from packer.bake.errors import ImageError

ROOT = Path(__file__).parents[2]


def apt_folder(tmp_path: Path, text: str) -> Path:
    (tmp_path / "sources.list.d").mkdir(parents=True)
    (tmp_path / "sources.list.d/debian.sources").write_text(text)
    return tmp_path


def stanza(uri: str, suites: str) -> str:
    return f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"


def test_the_archives_of_debian_12_become_those_of_13(tmp_path: Path) -> None:
    main = stanza("http://one.test/debian", "bookworm bookworm-updates")
    folder = apt_folder(
        tmp_path, main + "\n" + stanza("http://two.test/debian-security/", "bookworm-security")
    )
    assert sources.find(folder) == [
        sources.Archive("http://one.test/debian", ("trixie", "trixie-updates")),
        sources.Archive("http://two.test/debian-security", ("trixie-security",)),
    ]


def test_old_style_lines_are_understood_and_other_archives_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "deb https://other.test/apt tool main\n"
        "deb [arch=amd64] http://one.test/debian bookworm main\n"
        "deb-src http://src.test/debian bookworm main\n"
        "deb http://one.test/security bookworm-security main\n"
    )
    assert [one.uri for one in sources.find(tmp_path)] == [
        "http://one.test/debian",
        "http://one.test/security",
    ]


def test_a_machine_without_security_updates_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no archive of security updates"):
        sources.find(apt_folder(tmp_path, stanza("http://one.test/debian", "bookworm")))


@pytest.mark.parametrize("uri", ["file:///srv/mirror", "http://user:secret@one.test/debian"])
def test_what_only_this_machine_can_reach_stays_out_of_the_image(uri: str) -> None:
    assert sources.stanzas([sources.Archive(uri, ("trixie",))]) == ""


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    folder = tmp_path / "upstream"
    (folder / "dists/trixie").mkdir(parents=True)
    (folder / "dists/trixie/InRelease").write_text("Suite: stable\nDate: Sat, 12 Sep 2026 07:55:41 UTC\n")
    (folder / "pool").mkdir()
    (folder / "pool/a.deb").write_text("package")
    return folder


def make_mirror(upstream: Path, date: str, *, offline: bool = False, fresh: bool = False) -> mirror.Mirror:
    archives = [sources.Archive(upstream.as_uri(), ("trixie",))]
    return mirror.Mirror(archives, upstream.parent / "kept", date, offline=offline, fresh=fresh)


@pytest.fixture
def port(upstream: Path) -> Iterator[int]:
    socket = upstream.parent / "socket"
    server = mirror.serve(make_mirror(upstream, "2026-01-01"), socket)
    yield mirror.relay(socket, "127.0.0.1")
    server.shutdown()
    server.server_close()


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_mirror_serves_what_upstream_has_and_nothing_else(port: int, upstream: Path) -> None:
    (upstream.parent / "secret").write_text("secret")
    assert get(port, "/0/pool/a.deb") == (200, b"package")
    assert get(port, "/0/pool/b.deb")[0] == 404
    assert get(port, "/1/pool/a.deb")[0] == 404
    assert get(port, "/0/pool/../../secret")[0] == 404
    assert get(port, "/0/pool/%2e%2e/%2e%2e/secret")[0] == 404


def test_a_dates_lists_stay_as_they_were(upstream: Path) -> None:
    before = make_mirror(upstream, "2026-01-01").lists()
    (upstream / "dists/trixie/InRelease").write_text("Suite: stable\nDate: Sun, 13 Sep 2026 00:00:00 UTC\n")
    assert make_mirror(upstream, "2026-01-01", offline=True).lists() == before
    assert make_mirror(upstream, "2026-01-02").lists() != before
    assert make_mirror(upstream, "2026-01-01", fresh=True).lists() != before


def test_a_past_date_that_was_never_fetched_has_no_lists(upstream: Path) -> None:
    assert make_mirror(upstream, "2020-01-01", offline=True).lists() == []


def test_comparing_trees_tells_contents_rights_and_names_but_not_times(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for file in ("same", "text", "mode"):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_text("1")
    (tmp_path / "a/text").write_text("2")
    (tmp_path / "b/mode").chmod(0o600)
    (tmp_path / "b/new").symlink_to("same")
    assert compare.trees(tmp_path / "a", tmp_path / "b") == {
        "only in the first": [],
        "only in the second": ["/new"],
        "different": ["/mode", "/text"],
    }


def test_a_wrong_command_line_ends_in_a_sentence(tmp_path: Path) -> None:
    for arguments, code, text in (
        (["build", "--date", "yesterday"], 2, "a date is wanted"),
        (["build", "--release", str(tmp_path), "--output", str(tmp_path)], 1, ""),
        (["check", str(tmp_path / "none.raw")], 1, "No such file"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "packer.bake", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert text in done.stderr
        assert "Traceback" not in done.stderr
