"""Whatever a parser does, the reader gets pages and then an end or a reason, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from app.errors import Unavailable
from app.parsing.confine import file_rules
from app.parsing.model import Limits, Page, Unreadable
from app.parsing.sandbox import ParserPool
from tests.support.parsing import zipped
from tests.support.pdf import make_pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "tests.support.hostile_format"
SMALL = Limits(memory_bytes=512 * 1024**2, cpu_seconds=20, wall_seconds=60)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(workers=2, extra_formats=(HOSTILE,)) as started:
        yield started


async def pages_of(pool: ParserPool, path: Path, name: str = "x", limits: Limits = SMALL) -> list[Page]:
    return [page async for page in pool.parse(path, name, limits)]


async def attempt(
    pool: ParserPool, tmp_path: Path, order: str, limits: Limits = SMALL
) -> tuple[list[Page], str]:
    """Pages and the reason that ended them, or "ready"."""
    path = tmp_path / "document"
    path.write_text(f"HOSTILE:{order}")
    found: list[Page] = []
    try:
        async for page in pool.parse(path, "x", limits):
            found += [page]
    except Unreadable as error:
        return found, error.reason
    return found, "ready"


async def test_pages_arrive_in_order_with_their_numbers(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(make_pdf([f"This is page number {n}" for n in range(1, 31)]))
    found = await pages_of(pool, path)
    assert [page.number for page in found] == list(range(1, 31))
    assert found[28].text == "This is page number 29"


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("eat", "too_large"),
        ("eat-in-library", "too_large"),
        ("loop", "too_slow"),
        ("crash", "damaged"),
        ("leave", "damaged"),
        ("babble", "damaged"),
        ("raise", "damaged"),
    ],
)
async def test_harm_ends_the_document_with_a_reason(
    pool: ParserPool, tmp_path: Path, order: str, reason: str
) -> None:
    limits = replace(SMALL, cpu_seconds=1) if order == "loop" else SMALL
    found, outcome = await attempt(pool, tmp_path, order, limits)
    assert outcome == reason
    assert found[0].text == f"about to {order}"


async def test_a_parser_that_sleeps_is_ended_by_the_clock(pool: ParserPool, tmp_path: Path) -> None:
    started = time.monotonic()
    _, outcome = await attempt(pool, tmp_path, "sleep", Limits(wall_seconds=0.5))
    assert outcome == "too_slow"
    assert time.monotonic() - started < 10


async def test_the_time_that_the_reader_takes_does_not_count(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(make_pdf(["one page of text", "another page of text", "and a third one"]))
    count = 0
    async for _ in pool.parse(path, "x", Limits(wall_seconds=2)):
        count += 1
        await asyncio.sleep(0.05)
        if count == 1:
            # more than the whole limit
            await asyncio.sleep(2.3)
    assert count == 3


async def test_endless_pages_end_at_the_limits(pool: ParserPool, tmp_path: Path) -> None:
    found, outcome = await attempt(pool, tmp_path, "flood", Limits(max_characters=1_000_000))
    assert outcome == "too_large"
    assert sum(len(page.text) for page in found) <= 1_000_000
    found, outcome = await attempt(pool, tmp_path, "flood", Limits(max_pages=50))
    assert (outcome, len(found)) == ("too_large", 50)


async def test_a_parser_can_neither_read_nor_write_files(pool: ParserPool, tmp_path: Path) -> None:
    target = tmp_path / "target"
    found, _ = await attempt(pool, tmp_path, f"write {target}")
    assert "refused" in found[1].text
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    found, _ = await attempt(pool, tmp_path, f"read {secret}")
    rules = file_rules([])
    if rules is None:
        pytest.skip("this kernel has no Landlock")
    os.close(rules)
    assert found[1].text == "refused: PermissionError"


async def test_a_parser_sees_no_environment_and_no_other_descriptors(
    pool: ParserPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    found, _ = await attempt(pool, tmp_path, "environment")
    assert "SECRET" not in found[1].text
    found, _ = await attempt(pool, tmp_path, "files")
    assert sorted(found[1].text.split()) == ["file", "socket"]


async def test_the_next_document_is_read_after_each_kind_of_harm(pool: ParserPool, tmp_path: Path) -> None:
    good = tmp_path / "good.txt"
    good.write_text("Everything is in order here.")
    for order in ("crash", "leave", "babble", "raise"):
        await attempt(pool, tmp_path, order)
        assert [page.text for page in await pages_of(pool, good)] == ["Everything is in order here."]


async def test_a_reader_that_stops_early_frees_the_place_and_the_process(
    pool: ParserPool, tmp_path: Path
) -> None:
    (tmp_path / "document").write_text("HOSTILE:sleep")
    for _ in range(4):  # more than there are places
        async with aclosing(pool.parse(tmp_path / "document", "x", Limits())) as found:
            async for _page in found:
                break
    assert await _soon(lambda: _children(_zygote(pool)) == [])


async def test_documents_are_read_side_by_side(pool: ParserPool, tmp_path: Path) -> None:
    async def one(index: int) -> str:
        path = tmp_path / f"{index}.txt"
        path.write_text(f"Document number {index}")
        return (await pages_of(pool, path))[0].text

    texts = await asyncio.gather(*(one(index) for index in range(20)))
    assert texts == [f"Document number {index}" for index in range(20)]


async def test_an_empty_file_is_empty_and_a_missing_one_is_an_error(pool: ParserPool, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(Unreadable) as caught:
        await pages_of(pool, tmp_path / "empty")
    assert caught.value.reason == "empty"
    with pytest.raises(FileNotFoundError):
        await pages_of(pool, tmp_path / "missing")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "📄 Büro.txt", "n" * 300 + ".txt", "a\x00b\n.txt", "", "\udcff"]
)
async def test_names_are_only_data(pool: ParserPool, tmp_path: Path, name: str) -> None:
    path = tmp_path / "document"
    path.write_text("Some words to find.")
    assert (await pages_of(pool, path, name))[0].text == "Some words to find."


async def test_a_huge_text_is_refused_at_once(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.write(b"The first line of a long log.\n" * 10_000)
        file.truncate(300 * 1024**2)
    started = time.monotonic()
    with pytest.raises(Unreadable) as caught:
        await pages_of(pool, path, "huge.txt", Limits())
    assert caught.value.reason == "too_large"
    assert "20,000,000 characters" in caught.value.message
    assert time.monotonic() - started < 5


async def test_a_text_of_many_parts_is_read_without_holding_it(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    line = b"A line of a log that goes on and on, with many words in it.\n"
    path.write_bytes(line * 300_000)
    size = 0
    async for page in pool.parse(path, "long.txt", Limits(memory_bytes=1024**3)):
        assert len(page.text) <= 12_000
        size += len(page.text)
    assert size > 0.99 * 300_000 * (len(line) - 1)
    assert pool.peak_rss_bytes < 600 * 1024**2


async def test_a_bomb_of_packed_zeros_is_too_large(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "bomb.docx"
    types = '<Types><Override ContentType="x.wordprocessingml.document.main+xml"/></Types>'
    path.write_bytes(zipped({"[Content_Types].xml": types, "word/document.xml": b"\x00" * (64 * 1024**2)}))
    with pytest.raises(Unreadable) as caught:
        await pages_of(pool, path)
    assert caught.value.reason == "too_large"


async def test_a_lost_parent_of_the_parsers_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("Words.")
    (tmp_path / "document").write_text("HOSTILE:sleep")
    async with ParserPool(extra_formats=(HOSTILE,)) as pool:
        asleep = pool.parse(tmp_path / "document", "x", Limits())
        await anext(asleep)
        zygote = _zygote(pool)
        parsers = _children(zygote)
        assert parsers
        os.kill(zygote, signal.SIGKILL)
        with pytest.raises(Unavailable):
            async for _ in asleep:
                pass
        assert await _soon(lambda: not any(_runs(pid) for pid in parsers))
        assert (await pages_of(pool, path))[0].text == "Words."


async def test_parsers_die_with_a_killed_service(tmp_path: Path) -> None:
    (tmp_path / "document").write_text("HOSTILE:loop")
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from app.parsing.model import Limits\n"
        "from app.parsing.sandbox import ParserPool\n"
        "async def main():\n"
        f"    pool = ParserPool(extra_formats=({HOSTILE!r},))\n"
        "    async for page in pool.parse(Path(sys.argv[1]), 'x', Limits()):\n"
        "        print(pool._keeper._process.pid, flush=True)\n"
        "asyncio.run(main())\n"
    )
    service = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", script, str(tmp_path / "document")],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert service.stdout is not None
        zygote = int(await service.stdout.readline())
        family = [zygote, *_children(zygote)]
        assert len(family) == 2
    finally:
        service.kill()
        await service.wait()
    assert await _soon(lambda: not any(_runs(pid) for pid in family))


async def test_closing_the_pool_leaves_no_process(tmp_path: Path) -> None:
    pool = ParserPool(extra_formats=(HOSTILE,))
    (tmp_path / "document").write_text("HOSTILE:loop")
    busy = pool.parse(tmp_path / "document", "x", Limits())
    await anext(busy)
    zygote = _zygote(pool)
    family = [zygote, *_children(zygote)]
    await pool.close()
    assert await _soon(lambda: not any(_runs(pid) for pid in family))
    with pytest.raises(Unavailable):
        await anext(busy)


async def test_a_parser_reaches_no_server(pool: ParserPool, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found, _ = await attempt(pool, tmp_path, f"connect 127.0.0.1:{server.getsockname()[1]}")
    if found[1].text == "connected":
        pytest.skip("this kernel's Landlock has no rules for the network")
    assert found[1].text == "refused: PermissionError"


def _zygote(pool: ParserPool) -> int:
    assert pool._keeper is not None
    return pool._keeper._process.pid


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


async def _soon(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        await asyncio.sleep(0.02)
    return holds()
