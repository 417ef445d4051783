"""The door to botocore: requests to one bucket, and its errors as those of the service."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from deriva_server.blobs.s3.addresses import Address
from deriva_server.errors import (
    Busy,
    DeploymentError,
    NotFound,
    PreconditionFailed,
    ServiceError,
    StorageFull,
    StorageUnusable,
)

Manner = Literal["usual", "patient", "hasty"]
"""How long to wait for an answer, and how often to try: `patient` for work that takes the store its time,
`hasty` for tidying up that is not worth a wait."""

_ATTEMPTS = 4
_MANNERS: dict[Manner, tuple[float, float, int]] = {
    # seconds for a connection, seconds for an answer, attempts: no connection is told within 20 seconds
    "usual": (3, 15, _ATTEMPTS),
    "patient": (3, 600, _ATTEMPTS),
    "hasty": (2, 5, 1),
}
_CONNECTIONS = 64
_BATCH = 1000
_REGION = "us-east-1"

_BY_CODE: dict[str, type[ServiceError]] = {
    "404": NotFound,
    "NoSuchKey": NotFound,
    "NoSuchUpload": NotFound,
    "412": PreconditionFailed,
    "PreconditionFailed": PreconditionFailed,
    "ConditionalRequestConflict": PreconditionFailed,
    # What arrived was torn on the way, or the source changed while it was read.
    "BadDigest": Busy,
    "IncompleteBody": Busy,
    "XAmzContentSHA256Mismatch": Busy,
    "RequestTimeout": Busy,
    "SlowDown": Busy,
    "QuotaExceeded": StorageFull,
    "InsufficientStorage": StorageFull,
    "XMinioStorageFull": StorageFull,
    "XMinioAdminBucketQuotaExceeded": StorageFull,
}
_PROMISED = {
    "head_object": "ContentLength",
    "put_object": "ETag",
    "create_multipart_upload": "UploadId",
    "upload_part": "ETag",
    "upload_part_copy": "CopyPartResult",
    "complete_multipart_upload": "ETag",
}
"""What an answer has, unless the connection was cut between its headers, which nobody else notices."""

_UNREACHABLE = "Check that it runs, and the endpoint in the address of the objects."
_HINTS = {
    "NoSuchBucket": "make the bucket first, or name another one",
    "AccessDenied": "the credentials do not allow it",
    "403": "the credentials do not allow it",
    "InvalidAccessKeyId": "check the credentials",
    "SignatureDoesNotMatch": "check the credentials",
    "ExpiredToken": "the credentials have expired",
    "RequestTimeTooSkewed": "check the clock of this machine",
}


class Bucket:
    """Requests to one bucket; threads may share it, and so may processes made by ``fork``.

    Parameters
    ----------
    address : Address
        Which.

    Raises
    ------
    DeploymentError
        If botocore is not installed.
    """

    def __init__(self, address: Address) -> None:
        _check_installed()
        self.address = address
        self.begin_anew()
        _all.add(self)

    def begin_anew(self) -> None:
        """Forget all connections: a child made by fork must not write to those of its parent."""
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[Manner, Any] = {}

    def call(self, operation: str, manner: Manner = "usual", **arguments: Any) -> Any:
        """Do one operation on the bucket.

        Raises
        ------
        ServiceError
            `Busy` for what may pass, else what fits.
        """
        for _ in range(_ATTEMPTS):
            with translated(self.address):
                answer = getattr(self._client(manner), operation)(Bucket=self.address.bucket, **arguments)
            if _PROMISED.get(operation, "ResponseMetadata") in answer:
                return answer
            if "Body" in arguments:
                arguments["Body"].seek(0)
        raise Busy(f"{self.address} sends answers without an end")

    def pages(self, operation: str, entries: str, **arguments: Any) -> Iterator[Any]:
        """The entries of a listing."""
        with translated(self.address):
            paginator = self._client("usual").get_paginator(operation)
            for page in paginator.paginate(Bucket=self.address.bucket, **arguments):
                if "IsTruncated" not in page:
                    raise Busy(f"a listing of {self.address} was cut short")
                yield from page.get(entries, ())

    def listed(self, prefix: str) -> Iterator[Any]:
        """Keys that begin with `prefix`, with their tags, sizes and times."""
        return self.pages("list_objects_v2", "Contents", Prefix=prefix)

    def remove(self, keys: Iterable[str], manner: Manner = "usual") -> None:
        """Remove keys; missing ones are ignored."""
        rest = iter(keys)
        while batch := list(itertools.islice(rest, _BATCH)):
            doomed = {"Objects": [{"Key": key} for key in batch], "Quiet": True}
            for failed in self.call("delete_objects", manner, Delete=doomed).get("Errors", ()):
                raise _error(str(failed.get("Code", "")), 0, str(failed.get("Message", "")), self.address)

    def _client(self, manner: Manner) -> Any:
        with self._lock:
            if manner not in self._clients:
                self._clients[manner] = self._connected(manner)
            return self._clients[manner]

    def _connected(self, manner: Manner) -> Any:
        import botocore.config
        import botocore.session

        if self._session is None:
            self._session = botocore.session.get_session()
            self._session.register_component("data_loader", _loader())
        connect, read, attempts = _MANNERS[manner]
        config = botocore.config.Config(
            connect_timeout=connect,
            read_timeout=read,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=_CONNECTIONS,
            # Other services than Amazon's know no trailing checksums; Content-MD5 goes with every body instead.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if self.address.endpoint else "auto"},
        )
        region = self.address.region or self._session.get_config_variable("region") or _REGION
        return self._session.create_client(
            "s3", endpoint_url=self.address.endpoint, region_name=region, config=config
        )


@functools.cache
def _loader() -> Any:
    """Reads what botocore knows of services: megabytes, and the same for all buckets."""
    from botocore.loaders import create_loader

    return create_loader()


def _check_installed() -> None:
    try:
        import botocore  # noqa: F401
    except ImportError:
        raise DeploymentError(
            "Objects on S3 need botocore: `pip install 'deriva-ml[s3]'`, or `pip install botocore`."
        ) from None


@contextlib.contextmanager
def translated(address: Address) -> Iterator[None]:
    """Errors of botocore as errors of the service."""
    from botocore import exceptions as foreign
    from botocore.parsers import ResponseParserError

    try:
        yield
    except foreign.ClientError as error:
        told, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code, status = str(told.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
        raise _error(code, status, str(told.get("Message", "")), address) from error
    except foreign.SSLError as error:
        raise StorageUnusable(f"{address} cannot be reached safely: {error}") from error
    except (
        foreign.ConnectionError,
        foreign.HTTPClientError,
        foreign.IncompleteReadError,
        ResponseParserError,
    ) as error:
        reason = str(error).rstrip(".")
        raise Busy(f"the object store {address} cannot be reached: {reason}. {_UNREACHABLE}") from error
    except (foreign.NoCredentialsError, foreign.PartialCredentialsError) as error:
        raise StorageUnusable(
            f"{address} needs credentials, and there are none: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or write them to ~/.aws/credentials"
        ) from error
    except foreign.BotoCoreError as error:
        raise StorageUnusable(f"{address} cannot be used: {error}") from error


def _error(code: str, status: int, message: str, address: Address) -> ServiceError:
    kind = _BY_CODE.get(code)
    if kind is None and status == 507:
        kind = StorageFull
    elif kind is None and (status == 429 or status >= 500):
        kind = Busy
    said = f"{address} answered {code or status}: {message.rstrip('.') or 'no more is known'}"
    if hint := _HINTS.get(code):
        said = f"{said}; {hint}"
    return (kind or StorageUnusable)(said)


_all: weakref.WeakSet[Bucket] = weakref.WeakSet()


def _after_fork() -> None:
    for bucket in list(_all):
        bucket.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
