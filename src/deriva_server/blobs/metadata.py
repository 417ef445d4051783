"""What clients may tell about content, checked (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from deriva_server.blobs.checksums import Digests, read_digest, write_digest
from deriva_server.errors import BadRequest, Conflict
from deriva_server.sql.objects import Metadata

FIELDS: Mapping[str, str] = {
    "content-type": "content_type",
    "content-disposition": "content_disposition",
    "content-md5": "md5",
    "content-sha256": "sha256",
}
"""Name of each field in URLs and headers, and as attribute of `Metadata`."""

_DISPOSITION = re.compile(r"filename\*=UTF-8''((?:[A-Za-z0-9_.~-]|%[0-9A-Fa-f]{2})+)")
_PRINTABLE = re.compile(r"[ -~]*")
_LONGEST = 4096
"""Characters of a value: it becomes a header of every answer, and clients refuse long ones."""


def read_content_type(text: str) -> str | None:
    """A media type in lower case without parameters; None for an empty one.

    Raises
    ------
    BadRequest
        If it cannot be a header.
    """
    kind = text.partition(";")[0].strip().lower()
    if not _PRINTABLE.fullmatch(kind) or len(kind) > _LONGEST:
        raise BadRequest(f"{text[:100]!r} is not a media type")
    return kind or None


def read_disposition(text: str) -> str:
    """A content disposition that gives a plain file name.

    Raises
    ------
    BadRequest
        If it is anything else.

    Examples
    --------
    >>> read_disposition("filename*=UTF-8''caf%C3%A9.txt")
    "filename*=UTF-8''caf%C3%A9.txt"
    """
    match = _DISPOSITION.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    try:
        name = "" if match is None else unquote_to_bytes(match.group(1)).decode("utf-8")
    except UnicodeDecodeError:
        name = ""
    if not name or "/" in name or "\\" in name or "\0" in name:
        raise BadRequest(
            f"content-disposition must be filename*=UTF-8''NAME with an escaped file name, not {text[:100]!r}"
        )
    return text.strip()


_READERS: Mapping[str, Callable[[str], str | None]] = {
    "content-type": read_content_type,
    "content-disposition": read_disposition,
    "content-md5": lambda text: read_digest("md5", text),
    "content-sha256": lambda text: read_digest("sha256", text),
}


def read_metadata(given: Mapping[str, str | None]) -> Metadata:
    """Metadata from fields as a client wrote them; missing and empty ones are not set.

    Raises
    ------
    BadRequest
        If a value is not one of its kind.
    """
    values = {
        attribute: _READERS[name](text) for name, attribute in FIELDS.items() if (text := given.get(name))
    }
    return Metadata(**values)


def field_text(metadata: Metadata, name: str) -> str | None:
    """One field as clients read it, None when unset.

    Raises
    ------
    BadRequest
        If there is no such field.
    """
    value: str | None = getattr(metadata, attribute_of(name))
    return write_digest(value) if value is not None and name in ("content-md5", "content-sha256") else value


def attribute_of(name: str) -> str:
    """Attribute of `Metadata` that a field is.

    Raises
    ------
    BadRequest
        If there is no such field.
    """
    if name not in FIELDS:
        raise BadRequest(f"no metadata field {name!r}; there are {', '.join(FIELDS)}")
    return FIELDS[name]


def all_fields(metadata: Metadata) -> dict[str, str]:
    """Every field that is set, as clients read it."""
    return {name: text for name in FIELDS if (text := field_text(metadata, name)) is not None}


def with_field(metadata: Metadata, name: str, text: str) -> Metadata:
    """`metadata` with one field set; digests are written once.

    Raises
    ------
    BadRequest
        If there is no such field, or the value is not one of its kind.
    Conflict
        If another digest is set.
    """
    attribute = attribute_of(name)
    value = _READERS[name](text)
    if value is None:
        raise BadRequest(f"{name} must not be empty")
    before = getattr(metadata, attribute)
    if attribute in ("md5", "sha256") and before is not None and before != value:
        raise Conflict(f"{name} is set already and does not change")
    return replace(metadata, **{attribute: value})


def verified(metadata: Metadata, digests: Digests, refusal: type[BadRequest] | type[Conflict]) -> Metadata:
    """`metadata` with the digests of the bytes, which must be those given.

    Raises
    ------
    BadRequest or Conflict
        The `refusal`, if the bytes are others.
    """
    for kind, given, found in (
        ("MD5", metadata.md5, digests.md5),
        ("SHA-256", metadata.sha256, digests.sha256),
    ):
        if given is not None and given != found:
            raise refusal(f"the {kind} of the content is {write_digest(found)}, not {write_digest(given)}")
    return replace(metadata, md5=digests.md5, sha256=digests.sha256)
