"""Addresses of PostgreSQL databases: read, kept and shown."""

from __future__ import annotations

import re
from urllib.parse import unquote

import sqlalchemy as sa

from deriva_server.errors import DeploymentError
from deriva_server.names import NAME_BYTES

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_SECRETS = ("password", "sslpassword")
_PASSWORD = re.compile(r"(?<=://)([^:/?#]*):.*@")


def parse_address(address: str) -> sa.URL:
    """The URL of a PostgreSQL database.

    Raises
    ------
    DeploymentError
        If the text is none.
    """
    try:
        url = sa.make_url(address)
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in _SCHEMES or not url.database:
        shown = _PASSWORD.sub(r"\1@", address)
        # Not chained: the cause shows the password.
        raise DeploymentError(
            f"{shown!r} is no database address; write postgresql://user@host/name."
        ) from None
    if len(url.database.encode()) > NAME_BYTES:
        raise DeploymentError(f"The name of the database {url.database!r} is longer than {NAME_BYTES} bytes.")
    if "@" in (url.host or ""):
        raise DeploymentError("The address of the database has several @; write one in a password as %40.")
    given = url.query.get("password")
    if isinstance(given, str):
        url = url.difference_update_query(["password"]).set(password=given)
    return url.set(drivername="postgresql+psycopg")


def kept_address(url: sa.URL) -> str:
    """An address as it is written down and given to other programs: without the password."""
    url = url.difference_update_query(_SECRETS)
    # `URL.set` takes None for "as it is".
    return url._replace(drivername="postgresql", password=None).render_as_string(hide_password=False)


def shown_address(url: sa.URL) -> str:
    """An address for people: without the password, and without escapes.

    >>> shown_address(sa.make_url("postgresql://kim:secret@/lab?host=/var/run"))
    'postgresql://kim@/lab?host=/var/run'
    """
    return unquote(kept_address(url))
