"""Both object stores keep the same promises; S3 is spoken to a real server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import socket
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest

from app.embedded.ports import free_port
from app.errors import Unavailable
from app.stores.objects.errors import (
    BucketMissing,
    InvalidKey,
    ObjectNotFound,
    ObjectStoreDenied,
    ObjectStoreMisconfigured,
)
from app.stores.objects.folder import FolderStore
from app.stores.objects.interface import PIECE_BYTES, ObjectStore
from app.stores.objects.keys import document_key, hash_file
from app.stores.objects.s3 import S3Store
from tests.support.servers import S3Server, run_now, s3_server_on


def s3_store(server: S3Server, **changes: object) -> S3Store:
    settings: dict[str, object] = {
        "endpoint": server.endpoint,
        "bucket": f"b-{uuid.uuid4().hex[:12]}",
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "timeout_seconds": 10.0,
    }
    return S3Store(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture(params=["folder", "s3"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, s3_server: S3Server
) -> AsyncIterator[ObjectStore]:
    made: ObjectStore = (
        FolderStore(tmp_path / "objects") if request.param == "folder" else s3_store(s3_server)
    )
    await made.check()
    yield made
    await made.close()


def key_of(data: bytes) -> str:
    return document_key(hashlib.sha256(data).hexdigest())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def read(store: ObjectStore, key: str) -> bytes:
    return b"".join([piece async for piece in store.open_stream(key)])


SIZES = {"empty": 0, "one": 1, "pieces": PIECE_BYTES * 2 + 17}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
async def test_what_was_stored_comes_back(store: ObjectStore, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    key = key_of(data)
    assert not await store.exists(key)
    await store.put_bytes(key, data)
    assert await store.exists(key)
    assert await store.size(key) == len(data)
    assert await read(store, key) == data
    await store.get_to_file(key, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    assert names(tmp_path) - {"objects"} == {"copy"}


async def test_a_large_file_passes_without_being_in_memory(store: ObjectStore, tmp_path: Path) -> None:
    source, size = tmp_path / "large", 96_000_000
    block = os.urandom(1_000_000)
    with source.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    digest = hash_file(source)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await store.put_file(document_key(digest), source)
    await store.get_to_file(document_key(digest), tmp_path / "copy")
    total = 0
    async for piece in store.open_stream(document_key(digest)):
        assert len(piece) <= PIECE_BYTES
        total += len(piece)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert total == size
    assert hash_file(tmp_path / "copy") == digest
    assert grown < 64_000_000
    for path in (source, tmp_path / "copy"):
        path.unlink()
    await store.delete(document_key(digest))


async def test_storing_the_same_again_changes_nothing(store: ObjectStore) -> None:
    for _ in range(2):
        await store.put_bytes(key_of(b"same"), b"same")
    assert await read(store, key_of(b"same")) == b"same"
    assert [key async for key in store.list()] == [key_of(b"same")]


async def test_a_deleted_object_is_gone_and_deleting_it_again_is_fine(store: ObjectStore) -> None:
    key, other = key_of(b"one"), key_of(b"two")
    await store.put_bytes(key, b"one")
    await store.put_bytes(other, b"two")
    for _ in range(2):
        await store.delete(key)
        assert not await store.exists(key)
    assert await read(store, other) == b"two"
    await store.put_bytes(key, b"one")
    assert await read(store, key) == b"one"


async def test_a_missing_object_is_named(store: ObjectStore, tmp_path: Path) -> None:
    key = key_of(b"never stored")
    for work in (store.size(key), store.get_to_file(key, tmp_path / "copy"), read(store, key)):
        with pytest.raises(ObjectNotFound, match=key):
            await work
    assert names(tmp_path) <= {"objects"}


async def test_a_folder_of_objects_is_no_object(store: ObjectStore) -> None:
    key = key_of(b"one")
    await store.put_bytes(key, b"one")
    assert not await store.exists("documents")
    with pytest.raises(ObjectNotFound):
        await store.size("documents")


async def test_keys_are_listed_by_prefix(store: ObjectStore) -> None:
    keys = {"documents/ab/cd/one", "documents/ab/ce/two", "documents/xy/three", "exports/four"}
    for key in keys:
        await store.put_bytes(key, b".")
    for prefix in ("", "documents", "documents/", "documents/ab", "documents/ab/c", "exports/four", "none/"):
        found = [key async for key in store.list(prefix)]
        assert len(found) == len(set(found))
        assert set(found) == {key for key in keys if key.startswith(prefix)}, prefix


async def test_more_keys_than_one_answer_holds_are_all_listed(
    store: ObjectStore, s3_server: S3Server
) -> None:
    # Laid into the folder below the store, which is quicker than 1,100 uploads.
    root = store.root if isinstance(store, FolderStore) else s3_server.folder / cast("S3Store", store).bucket
    (root / "documents" / "aa").mkdir(parents=True)
    for number in range(1100):
        (root / "documents" / "aa" / f"n{number:04}").touch()
    assert len({key async for key in store.list("documents/")}) == 1100


@pytest.mark.parametrize(
    "key", ["../outside", "documents/../../outside", "/etc/passwd", "", "a//b", "x" * 600]
)
async def test_no_key_leads_out_of_the_store(store: ObjectStore, tmp_path: Path, key: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    for work in (
        store.put_bytes(key, b"x"),
        store.put_file(key, source),
        store.get_to_file(key, tmp_path / "copy"),
        store.exists(key),
        store.size(key),
        store.delete(key),
        read(store, key),
    ):
        with pytest.raises(InvalidKey):
            await work
    assert not (tmp_path.parent / "outside").exists()


async def test_a_stream_can_be_left_in_the_middle(store: ObjectStore) -> None:
    data = os.urandom(PIECE_BYTES * 4)
    await store.put_bytes(key_of(data), data)
    async with aclosing(store.open_stream(key_of(data))) as stream:  # type: ignore[type-var]
        async for piece in stream:
            assert piece == data[: len(piece)]
            break
    assert await read(store, key_of(data)) == data


async def test_a_local_file_that_is_missing_is_no_fault_of_the_store(
    store: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put_file(key_of(b"x"), tmp_path / "missing")
    assert not await store.exists(key_of(b"x"))


async def test_wrong_credentials_are_told_with_advice(s3_server: S3Server) -> None:
    for change in ({"secret_key": "wrong"}, {"access_key": "unknown"}):
        store = s3_store(s3_server, **change)
        with pytest.raises(ObjectStoreDenied, match="refuses the credentials") as caught:
            await store.check()
        assert "secret key" in caught.value.sentence()
        with pytest.raises(ObjectStoreDenied):
            await store.put_bytes(key_of(b"x"), b"x")
        await store.close()


async def test_a_missing_bucket_is_only_made_when_that_is_allowed(s3_server: S3Server) -> None:
    store = s3_store(s3_server, create_bucket=False)
    with pytest.raises(BucketMissing, match=store.bucket):
        await store.check()
    with pytest.raises(BucketMissing):
        await store.put_bytes(key_of(b"x"), b"x")
    await store.close()
    assert not (s3_server.folder / store.bucket).exists()


async def test_a_bucket_is_made_by_the_first_upload(s3_server: S3Server) -> None:
    store = s3_store(s3_server)
    await store.put_bytes(key_of(b"x"), b"x")
    assert (s3_server.folder / store.bucket / key_of(b"x")).read_bytes() == b"x"
    await store.close()


async def test_a_server_that_is_away_is_unavailable_within_seconds(s3_server: S3Server) -> None:
    store = s3_store(s3_server, endpoint=f"http://127.0.0.1:{free_port()}", tries=2)
    with pytest.raises(Unavailable, match="no answer"):
        await store.check()
    with pytest.raises(Unavailable, match="no answer"):
        await store.put_bytes(key_of(b"x"), b"x")
    await store.close()


async def test_a_server_that_never_answers_is_unavailable_within_seconds(s3_server: S3Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = s3_store(
            s3_server, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.5
        )
        started = time.monotonic()
        with pytest.raises(Unavailable, match="no answer"):
            await store.check()
        with pytest.raises(Unavailable, match="no answer"):
            await store.exists(key_of(b"x"))
        assert time.monotonic() - started < 15
        await store.close()


def test_a_server_that_dies_in_the_middle_of_an_object_is_unavailable(tmp_path: Path) -> None:
    data = os.urandom(40_000_000)

    async def upload(store: S3Store) -> None:
        await store.put_bytes(key_of(data), data)

    async def read_on(store: S3Store, server: S3Server) -> None:
        async for _ in store.open_stream(key_of(data)):
            server.kill()

    with s3_server_on(tmp_path / "server") as server:
        store = s3_store(server, tries=1)
        run_now(upload(store))
        with pytest.raises(Unavailable):
            run_now(read_on(store, server))
        with pytest.raises(Unavailable):
            run_now(store.get_to_file(key_of(data), tmp_path / "copy"))
        assert names(tmp_path) == {"server"}
        run_now(store.close())


def test_an_upload_outlasts_the_restart_of_its_server(tmp_path: Path) -> None:
    data = os.urandom(40_000_000)

    async def restart_meanwhile(store: S3Store, server: S3Server) -> None:
        upload = asyncio.create_task(store.put_bytes(key_of(data), data))
        await asyncio.sleep(0.1)  # no upload of this size takes so little
        assert not upload.done()
        server.kill()
        await asyncio.sleep(3)
        server.start()
        await upload
        await store.get_to_file(key_of(data), tmp_path / "copy")

    with s3_server_on(tmp_path / "server") as server:
        store = s3_store(server, tries=1)
        run_now(restart_meanwhile(store, server))
        run_now(store.close())
    assert (tmp_path / "copy").read_bytes() == data


@pytest.mark.parametrize("change", [{"endpoint": "not an address"}, {"bucket": "No Bucket!"}])
async def test_a_wrong_setting_is_told_in_a_sentence(s3_server: S3Server, change: dict[str, str]) -> None:
    with pytest.raises(ObjectStoreMisconfigured, match="cannot be used"):
        await s3_store(s3_server, **change).check()
