"""Addresses of buckets: ``s3://bucket/prefix?endpoint=https://host:port&region=name``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, urlsplit

from deriva_server.errors import DeploymentError

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_REGION = re.compile(r"[A-Za-z0-9-]+")
_FORM = (
    "write s3://bucket/prefix, and ?endpoint=https://host:port&region=name for a service that is not Amazon's"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where in S3 a deployment keeps its objects.

    Parameters
    ----------
    bucket : str
        Name of the bucket.
    prefix : str
        What all keys begin with, without slashes at its ends; may be empty.
    endpoint : str or None
        Of a service that is not Amazon's.
    region : str or None
        As the configuration of the user says when None.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        options = [("endpoint", self.endpoint), ("region", self.region)]
        query = "&".join(f"{name}={quote(text, safe='/:[]')}" for name, text in options if text is not None)
        return f"s3://{self.bucket}{self.prefix and '/'}{self.prefix}{query and '?'}{query}"

    @property
    def root(self) -> str:
        """What all keys begin with, up to and with the slash."""
        return self.prefix and f"{self.prefix}/"

    def above(self) -> Iterator[Address]:
        """The prefixes that this one lies in, the nearest first."""
        prefix = self.prefix
        while prefix:
            prefix = prefix.rpartition("/")[0]
            yield replace(self, prefix=prefix)

    def beside(self, name: str) -> Address:
        """The same bucket with another prefix."""
        return replace(self, prefix=name)


def parse_address(text: str) -> Address:
    """Read an address.

    Raises
    ------
    DeploymentError
        If it is none, or holds credentials; they are not repeated.

    Examples
    --------
    >>> parse_address("s3://lab/objects/?region=eu-west-1")
    Address(bucket='lab', prefix='objects', endpoint=None, region='eu-west-1')
    >>> str(parse_address("s3://lab?endpoint=http%3A%2F%2Flocalhost:8333"))
    's3://lab?endpoint=http://localhost:8333'
    """
    try:
        parts = urlsplit(text)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _refusal("it cannot be read") from None
    if "@" in parts.netloc or "@" in options.get("endpoint", ""):
        raise DeploymentError(
            "The address of a bucket holds no credentials, because it is written down. Give them as AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY, or in ~/.aws/credentials."
        )
    if parts.scheme != "s3":
        raise _refusal("it does not begin with s3://")
    if unknown := sorted(options.keys() - {"endpoint", "region"}):
        raise _refusal(f"it has an option {unknown[0]!r}")
    prefix = parts.path.strip("/")
    if not _BUCKET.fullmatch(parts.netloc):
        raise _refusal(f"it names no bucket: {parts.netloc!r}" if parts.netloc else "it names no bucket")
    if parts.fragment or (prefix and (not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")))):
        raise _refusal("its prefix may have letters, digits, '-', '.', '_', '~' and single slashes")
    return Address(parts.netloc, prefix, _endpoint(options.get("endpoint")), _region(options.get("region")))


def _endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment:
        raise _refusal("its endpoint must be http://host:port or https://host:port")
    return text.rstrip("/")


def _region(text: str | None) -> str | None:
    if text is not None and not _REGION.fullmatch(text):
        raise _refusal("its region is no name of one")
    return text


def _refusal(why: str) -> DeploymentError:
    return DeploymentError(f"This address of a bucket cannot be used, {why}: {_FORM}.")
