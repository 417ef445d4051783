"""Connections to a PostgreSQL server, and why there is none.

Why is told by PostgreSQL's codes: its words are in the language of the server. The driver keeps no code of a
connection that was refused, so the server is asked once more, and what it says is listened to.
"""

from __future__ import annotations

import os
import re
import select
import selectors
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from deriva_server.errors import Busy, ServiceError, StorageUnusable

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

_PATIENCE_SECONDS = 10
_ATTEMPT_SECONDS = 10
_CODE = re.compile(rb'\tErrorResponse\t.* C "(\w{5})"')
_PASSWORD, _STARTING = "28P01", "57P03"
_PASSING = frozenset(("53", "57", "08"))
"""Classes of codes that say: not now."""

_ADVICE: Mapping[str, str] = {
    "28P01": "Give the right password with PGPASSWORD or ~/.pgpass.",
    "28000": "Check the user in the address, and that the server lets it in from here.",
    "3D000": "Check the name in the address.",
}
_OTHER_ADVICE = "Check the address."
_LATER = "Try again later, or let the server have more connections."
_UNREACHABLE = "Check that the server runs, and the host and port of the address."
_known: dict[tuple[bytes, str], str] = {}
"""Codes of refusals by address and words, so that the server is not asked again for each of many."""


def patience(url: sa.URL) -> dict[str, int]:
    """How long one attempt to connect may take, where neither the address nor the environment says so."""
    is_given = "connect_timeout" in url.query or "PGCONNECT_TIMEOUT" in os.environ
    return {} if is_given else {"connect_timeout": _ATTEMPT_SECONDS}


def is_readable(descriptor: int) -> bool:
    """Whether something waits in a socket, be it its end."""
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def connect(engine: sa.Engine) -> sa.Connection:
    """A new connection; waits a while for a server that has no room or is starting.

    Raises
    ------
    Busy
        If the server cannot be reached, or not now.
    StorageUnusable
        If it refuses this user, password or database, which waiting does not change.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return engine.connect()
        except sa.exc.OperationalError as error:
            failure, may_pass = _failure(engine, error)
            if not may_pass or time.monotonic() > end:
                raise failure from error
        time.sleep(0.1)


def _failure(engine: sa.Engine, error: sa.exc.OperationalError) -> tuple[ServiceError, bool]:
    """What a refusal means, and whether it may pass in a moment."""
    from psycopg.errors import ConnectionTimeout
    from psycopg.pq import PGconn, Ping

    if isinstance(error.orig, ConnectionTimeout):
        # Whoever does not answer need not be asked why.
        return Busy(f"The database server cannot be reached: no answer in time. {_UNREACHABLE}"), False
    given = _parameters(engine)
    code = _code(given, error)
    reason = _reason(error)
    if code is None:
        answer = PGconn.ping(given)
        if answer == Ping.NO_RESPONSE:
            return Busy(f"The database server cannot be reached: {reason}. {_UNREACHABLE}"), False
        if answer == Ping.NO_ATTEMPT or (answer == Ping.OK and not _can_listen()):
            return StorageUnusable(f"{reason}. {_OTHER_ADVICE}"), False
        code = _STARTING
    if code[:2] in _PASSING:
        return Busy(f"The database server takes no connection now: {reason}. {_LATER}"), True
    return StorageUnusable(f"{reason}. {_ADVICE.get(code, _OTHER_ADVICE)}"), False


def _parameters(engine: sa.Engine) -> bytes:
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import Conninfo

    words, named = engine.dialect.create_connect_args(engine.url)
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    given = {name: value for name, value in named.items() if name in known}
    return make_conninfo(*words, **{**patience(engine.url), **given}).encode()


def _code(given: bytes, error: sa.exc.OperationalError) -> str | None:
    """The code of a refusal; None when there was no answer."""
    from psycopg.pq import PGconn

    raw: Any = error.orig
    if raw.sqlstate is not None:
        return str(raw.sqlstate)
    if raw.pgconn is not None and raw.pgconn.needs_password:
        return _PASSWORD
    words = str(raw)
    if (given, words) not in _known and _can_listen():
        code = _listen(PGconn.connect_start(given))
        if code is None:
            return None
        _known[given, words] = code
    return _known.get((given, words))


def _can_listen() -> bool:
    """Whether the driver can write down what the server says."""
    return sys.platform == "linux"


def _listen(connection: PGconn) -> str | None:
    """Let a connection be made or refused; the code with which it was refused."""
    # Kept in memory, because a password may be among it.
    with os.fdopen(os.memfd_create("heard"), "rb") as heard:
        try:
            connection.trace(heard.fileno())
            _wait(connection)
            connection.untrace()
        finally:
            connection.finish()
        heard.seek(0)
        found = _CODE.search(heard.read())
    return None if found is None else found.group(1).decode()


def _wait(connection: PGconn) -> None:
    from psycopg.pq import ConnStatus, PollingStatus

    end = time.monotonic() + _ATTEMPT_SECONDS
    while connection.status != ConnStatus.BAD and (rest := end - time.monotonic()) > 0:
        state = connection.connect_poll()
        if state not in (PollingStatus.READING, PollingStatus.WRITING):
            return
        waits = selectors.EVENT_READ if state == PollingStatus.READING else selectors.EVENT_WRITE
        with selectors.DefaultSelector() as selector:
            selector.register(connection.socket, waits)
            selector.select(rest)


def _reason(error: sa.exc.OperationalError) -> str:
    """The first line of what the driver says."""
    lines = str(error.orig).strip().splitlines() or ["no reason given"]
    return re.sub(r"^connection (?:failed|is bad): ", "", lines[0]).rstrip(".")
