"""What can go wrong with stored objects, in sentences."""

from __future__ import annotations

from app.errors import Invalid, NotFound, Unavailable


class ObjectNotFound(NotFound):
    """There is no stored object '{name}'."""

    advice = "It may have been deleted; upload the document again."


class InvalidKey(Invalid):
    """'{key}' cannot be the name of a stored object."""

    advice = "Names are parts of lower-case letters, digits, '.', '_' and '-', with '/' between them."


class ObjectStoreFailed(Unavailable):
    """The object store {where} cannot do its work: {why}."""


class ObjectStoreFull(ObjectStoreFailed):
    """There is no room left in the object store {where}."""

    status = 507
    advice = "Free some space there, then try again; nothing that was stored is lost."


class ObjectStoreDenied(ObjectStoreFailed):
    """The object store {where} refuses the credentials: {why}."""

    advice = "Check the access key, the secret key and what they may do with the bucket."


class BucketMissing(ObjectStoreFailed):
    """The object store {where} has no such bucket."""

    advice = "Create the bucket, or allow the assistant to make it."


class ObjectStoreMisconfigured(Invalid):
    """The object store {where} cannot be used: {why}."""

    advice = "Give the endpoint as http://HOST:PORT or https://HOST, and a bucket name that S3 allows."
