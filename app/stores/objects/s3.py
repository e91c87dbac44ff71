"""Objects in a bucket of any S3 server."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.stores.objects.errors import (
    BucketMissing,
    ObjectStoreDenied,
    ObjectStoreFailed,
    ObjectStoreFull,
    ObjectStoreMisconfigured,
)
from app.stores.objects.interface import PIECE_BYTES
from app.stores.objects.keys import check_key, check_prefix
from app.stores.objects.s3_errors import S3_PROBLEMS, error_code, explain, is_missing

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

T = TypeVar("T")

_PART_BYTES: Final = 16 * 1024 * 1024
_THREADS: Final = 8
_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.3
# Whole up to here: rclone's server keeps parts in memory, and forgets them when it is restarted.
_WHOLE_BYTES: Final = 1024 * 1024 * 1024
_UPLOAD = TransferConfig(multipart_threshold=_WHOLE_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=4)
_DOWNLOAD = TransferConfig(
    multipart_threshold=_PART_BYTES,
    multipart_chunksize=_PART_BYTES,
    max_concurrency=4,
    num_download_attempts=3,
)


class S3Store:
    """An :class:`~app.stores.objects.interface.ObjectStore` in one bucket.

    No conditional writes, tags, access lists or user metadata are used, and no key is the prefix of
    another: several S3 servers ignore or mishandle these. Calls run in threads of this store, with bounded
    time and retries.

    Args:
        endpoint: address of the server; None for Amazon's own. bucket: its name. access_key, secret_key:
        credentials; None for those that the environment gives (such as an instance's role). region: used in
        signatures. ca_file: the CA that its certificate must be from; None for the known ones.
        create_bucket: whether the bucket may be made when it is missing. timeout_seconds: longest
        silence of the server that is waited for, per try. tries: how often a request is sent at most.

    Raises:
        ObjectStoreMisconfigured: not an address, or not a name for a bucket.
    """

    def __init__(
        self,
        *,
        endpoint: str | None,
        bucket: str,
        access_key: str | None,
        secret_key: str | None,
        region: str = "us-east-1",
        ca_file: Path | None = None,
        create_bucket: bool = True,
        timeout_seconds: float = 15.0,
        tries: int = 3,
    ) -> None:
        self.bucket = bucket
        self.where = f"'{bucket}' at {endpoint or 'Amazon S3'}"
        self._region = region
        self._create_bucket = create_bucket
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3")
        try:
            session = boto3.session.Session(
                aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region
            )
            make = functools.partial(_client, session, endpoint, ca_file)
            self._client = make(timeout_seconds, tries)
            self._probe = make(min(2.0, timeout_seconds), 1)
        except (ValueError, BotoCoreError) as problem:
            raise ObjectStoreMisconfigured(where=self.where, why=problem) from problem

    async def put_file(self, key: str, path: Path) -> None:
        """Upload a file, in one request unless it is larger than 1 GiB.

        A server that is away, or goes away meanwhile, is waited for, but only for seconds.
        """
        check_key(key)

        def put() -> None:
            size = path.stat().st_size
            self._client.upload_file(str(path), self.bucket, key, Config=_UPLOAD)
            self._compare(key, size)

        await self._patiently(put, key)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Upload bytes; waits as :meth:`put_file` does."""
        check_key(key)

        def put() -> None:
            self._client.put_object(Bucket=self.bucket, Key=key, Body=data)
            self._compare(key, len(data))

        await self._patiently(put, key)

    async def get_to_file(self, key: str, path: Path) -> None:
        """Download an object, to a name beside ``path`` first."""
        check_key(key)
        await self._run(
            lambda: self._client.download_file(self.bucket, key, str(path), Config=_DOWNLOAD), key
        )

    async def open_stream(self, key: str) -> AsyncIterator[bytes]:
        """The object's bytes in pieces."""
        check_key(key)
        body = (await self._run(lambda: self._client.get_object(Bucket=self.bucket, Key=key), key))["Body"]
        try:
            while piece := await self._run(lambda: body.read(PIECE_BYTES), key):
                yield piece
        finally:
            body.close()

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        check_key(key)

        def exists() -> bool:
            try:
                self._client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as problem:
                if is_missing(problem):
                    return False
                raise
            return True

        return await self._run(exists, key)

    async def size(self, key: str) -> int:
        """Bytes of the object."""
        check_key(key)
        head = await self._run(lambda: self._client.head_object(Bucket=self.bucket, Key=key), key)
        return head["ContentLength"]

    async def delete(self, key: str) -> None:
        """Delete the object; S3 itself has no error for one that is not there, but some servers do."""
        check_key(key)

        def delete() -> None:
            try:
                self._client.delete_object(Bucket=self.bucket, Key=key)
            except ClientError as problem:
                if not is_missing(problem):
                    raise

        await self._run(delete, key)

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """Keys that begin with ``prefix``, a thousand per request."""
        check_prefix(prefix)
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        )
        while (page := await self._run(lambda: next(pages, None), prefix)) is not None:
            for entry in page.get("Contents", ()):
                yield entry["Key"]

    async def check(self) -> None:
        """Ask for the bucket once, with little patience; make it when it is missing and that is allowed."""
        await self._run(self._ensure_bucket, self.bucket)

    async def close(self) -> None:
        """Close connections and threads; what runs is finished first."""
        await asyncio.to_thread(self._pool.shutdown, wait=True)
        self._client.close()
        self._probe.close()

    def _compare(self, key: str, size: int) -> None:
        """Some servers cut a body that ends early; the object is only safe when all of it is there."""
        stored = self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"]
        if stored != size:
            raise ObjectStoreFailed(where=self.where, why=f"it kept {stored} of {size} bytes")

    async def _patiently(self, put: Callable[[], None], key: str) -> None:
        """Upload when the server is there, and once more if it went away in the middle: twice does no harm.

        It is asked with little patience first, since what goes to a silent server is waited for much longer.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                await self.check()
                return await self._run(put, key)
            except (ObjectStoreDenied, ObjectStoreFull, BucketMissing):
                raise
            except ObjectStoreFailed:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    def _ensure_bucket(self) -> None:
        try:
            self._probe.head_bucket(Bucket=self.bucket)
        except ClientError as problem:
            if not self._create_bucket or not is_missing(problem):
                raise
            self._make_bucket()

    def _make_bucket(self) -> None:
        try:
            if self._region == "us-east-1":
                self._probe.create_bucket(Bucket=self.bucket)
            else:
                self._probe.create_bucket(
                    Bucket=self.bucket,
                    CreateBucketConfiguration={"LocationConstraint": self._region},  # type: ignore[typeddict-item]
                )
        except ClientError as problem:
            if error_code(problem) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise  # another process may have been faster

    async def _run(self, work: Callable[[], T], key: str) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except S3_PROBLEMS as problem:
            raise explain(problem, where=self.where, key=key) from problem


def _client(
    session: boto3.session.Session,
    endpoint: str | None,
    ca_file: Path | None,
    timeout_seconds: float,
    tries: int,
) -> S3Client:
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=min(2.0, timeout_seconds),
        read_timeout=timeout_seconds,
        retries={"total_max_attempts": tries, "mode": "standard"},
        max_pool_connections=_THREADS * 2,
    )
    verify = str(ca_file) if ca_file else None
    return session.client("s3", endpoint_url=endpoint, config=config, verify=verify)
