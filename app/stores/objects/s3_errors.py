"""From what boto3 raises to sentences."""

from __future__ import annotations

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as ServerConnectionError,
)
from urllib3.exceptions import HTTPError

from app.errors import AssistantError
from app.stores.objects.errors import (
    BucketMissing,
    ObjectNotFound,
    ObjectStoreDenied,
    ObjectStoreFailed,
    ObjectStoreFull,
    ObjectStoreMisconfigured,
)

S3_PROBLEMS = (ClientError, BotoCoreError, Boto3Error, HTTPError)

_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}
_DENIED = {
    "401",
    "403",
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}
_FULL = {"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}


def error_code(problem: ClientError) -> str:
    """The code of an answer, such as ``NoSuchKey``; for answers without a body their HTTP status."""
    return str(problem.response.get("Error", {}).get("Code", ""))


def is_missing(problem: ClientError) -> bool:
    """Whether the server says that the object or the bucket is not there."""
    return error_code(problem) in _MISSING


def explain(problem: BaseException, *, where: str, key: str) -> AssistantError:
    """The error to raise for something of ``S3_PROBLEMS``."""
    problem = _cause(problem)
    if isinstance(problem, ClientError):
        return _explain_answer(problem, where, key)
    if isinstance(problem, (NoCredentialsError, PartialCredentialsError)):
        return ObjectStoreDenied(where=where, why="none were given")
    if isinstance(problem, ParamValidationError):
        return ObjectStoreMisconfigured(where=where, why=_short(problem))
    if isinstance(problem, (ServerConnectionError, HTTPClientError, HTTPError)):
        return ObjectStoreFailed(where=where, why=f"no answer ({type(problem).__name__})")
    return ObjectStoreFailed(where=where, why=_short(problem))


def _explain_answer(problem: ClientError, where: str, key: str) -> AssistantError:
    code = error_code(problem)
    why = str(problem.response.get("Error", {}).get("Message") or code)
    if code == "NoSuchBucket" or (code in _MISSING and problem.operation_name == "HeadBucket"):
        return BucketMissing(where=where)
    if code in _MISSING:
        return ObjectNotFound(name=key)
    if code in _DENIED:
        return ObjectStoreDenied(where=where, why=why)
    if code in _FULL:
        return ObjectStoreFull(where=where)
    return ObjectStoreFailed(where=where, why=f"{why} ({code})")


def _cause(problem: BaseException) -> BaseException:
    """What lies below the errors of boto3's transfers, which carry it only as text."""
    seen = 0
    while isinstance(problem, Boto3Error) and seen < 5:
        below = problem.__cause__ or problem.__context__ or next(iter(problem.args), None)
        if not isinstance(below, BaseException):
            break
        problem, seen = below, seen + 1
    return problem


def _short(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:200]
