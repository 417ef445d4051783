"""The URL language of the object service; text in, value out (pure)."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from deriva_server.errors import BadRequest, NotFound
from deriva_server.values import Frozen

PREFIX = "/hatrac"

_NAME = re.compile(r"(?:[A-Za-z0-9\-._~]|%[0-9A-Fa-f]{2})+")
_VERSION = re.compile(r"(?:[!$&'()*+,=@A-Za-z0-9\-._~]|%[0-9A-Fa-f]{2})+")
_DEEPEST = 200
_LONGEST = 32_000
"""Characters of a path: clients take headers of up to 64 KiB, and answers tell locations in them."""
_DEPTH = {"versions": 0, "acl": 2, "metadata": 1, "upload": 2, "metrics": 0}
"""How many segments may follow each sub-resource."""


class Target(Frozen, frozen=True):
    """What a URL addresses.

    Parameters
    ----------
    path : str
        Of the namespace or object below the service, in its escaped spelling.
    version : str or None
        After the colon.
    sub : str or None
        After the semicolon: ``versions``, ``acl``, ``metadata``, ``upload`` or ``metrics``.
    arguments : tuple of str
        Decoded segments after the sub-resource.
    parents : bool
        Whether missing namespaces are to be made.
    """

    path: str
    version: str | None = None
    sub: str | None = None
    arguments: tuple[str, ...] = ()
    parents: bool = False

    @property
    def url(self) -> str:
        """The resource without its sub-resource, as clients address it."""
        return url_of(self.path if self.version is None else f"{self.path}:{self.version}")


def url_of(place: str) -> str:
    """A path below the service as clients address it.

    >>> url_of("/a/b:V1")
    '/hatrac/a/b:V1'
    """
    return PREFIX + place


def parse_target(raw: str) -> Target:
    """Read the raw target of a request.

    Raises
    ------
    BadRequest
        If it is not in the language.

    Examples
    --------
    >>> parse_target("/hatrac/a//b%2Fc:V1;acl/read/kim%40x?cid=me")
    Target(path='/a/b%2Fc', version='V1', sub='acl', arguments=('read', 'kim@x'), parents=False)
    """
    location, _, query = raw.partition("?")
    resource, semicolon, rest = f"/{location.lstrip('/')}".removeprefix(PREFIX).partition(";")
    before, colon, version = resource.partition(":")
    path = parse_path(before)
    if colon and (path == "/" or before.endswith("/") or not _VERSION.fullmatch(version)):
        raise BadRequest(f"{resource!r} is not the version of an object")
    sub, arguments = _parse_sub(rest) if semicolon else (None, ())
    return Target(path, version if colon else None, sub, arguments, _wants_parents(query))


def is_name(raw: str) -> bool:
    """Whether the raw target of a request may address a name or version itself, nothing below it."""
    return raw.startswith(f"{PREFIX}/") and ";" not in raw.partition("?")[0]


def parse_path(text: str) -> str:
    """A path without repeated or trailing slashes.

    Raises
    ------
    BadRequest
        If it is too deep or too long, or a name holds other characters than those that need no escape, or is a dot or two.
    """
    if len(text) > _LONGEST:
        raise BadRequest(f"a path has at most {_LONGEST} characters, not {len(text)}")
    names = [name for name in text.split("/") if name]
    if len(names) > _DEEPEST:
        raise BadRequest(f"a path has at most {_DEEPEST} names, not {len(names)}")
    for name in names:
        if not _NAME.fullmatch(name) or unquote(name) in (".", ".."):
            raise BadRequest(
                f"{name!r} is not a name; other characters than A-Z a-z 0-9 - . _ ~ must be escaped"
            )
    return "/" + "/".join(names)


def _parse_sub(text: str) -> tuple[str, tuple[str, ...]]:
    sub, *arguments = text.split("/")
    if sub not in _DEPTH:
        raise BadRequest(f"there is no sub-resource {sub!r}")
    if arguments and arguments[-1] == "":
        arguments.pop()
    if len(arguments) > _DEPTH[sub]:
        raise NotFound(f"nothing is below {';'.join((sub, *arguments[: _DEPTH[sub]]))}")
    if "" in arguments:
        raise BadRequest(f"{text!r} has an empty segment")
    try:
        return sub, tuple(unquote(argument, errors="strict") for argument in arguments)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the escapes of {text!r} are not UTF-8") from error


def _wants_parents(query: str) -> bool:
    wanted = dict(parse_qsl(query, keep_blank_values=True)).get("parents", "false").lower()
    if wanted not in ("true", "false"):
        raise BadRequest(f"parents must be true or false, not {wanted!r}")
    return wanted == "true"
