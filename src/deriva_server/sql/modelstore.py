"""The service's own tables of one catalog: its clock, its snapshots, the stored model and serial numbers.

The model is kept as one document per element group (the catalog, each schema, each table), so that opening a
catalog reads a few dozen rows and a change writes one or two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deriva_server.names import FIRST_RID, stored_time
from deriva_server.sql.dialect import Connection
from deriva_server.values import Frozen

FORMAT = 1
"""Format number of the service's own tables; a newer one is refused."""

_TABLES = (
    """CREATE TABLE _ermrest_state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        format INTEGER NOT NULL,
        snaptime {number} NOT NULL,
        model_snaptime {number} NOT NULL,
        next_rid {number} NOT NULL,
        now {moment} NOT NULL,
        client TEXT
    )""",
    """CREATE TABLE _ermrest_snapshot (
        time {number} PRIMARY KEY,
        model INTEGER NOT NULL
    )""",
    "CREATE INDEX _ermrest_snapshot_model ON _ermrest_snapshot (time) WHERE model = 1",
    """CREATE TABLE _ermrest_model (
        rid TEXT PRIMARY KEY,
        since {number} NOT NULL,
        document TEXT NOT NULL
    )""",
    """CREATE TABLE _ermrest_model_history (
        rid TEXT NOT NULL,
        since {number} NOT NULL,
        until {number} NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (rid, since)
    )""",
    "CREATE TABLE _ermrest_serial (column_rid TEXT PRIMARY KEY, next {number} NOT NULL)",
    """CREATE TABLE _ermrest_change (
        table_rid TEXT PRIMARY KEY,
        time {number} NOT NULL
    )""",
    """CREATE TABLE _ermrest_amendment (
        time {number} PRIMARY KEY,
        since {number} NOT NULL,
        until {number} NOT NULL
    )""",
)

STATE = "SELECT format, snaptime, model_snaptime, next_rid FROM _ermrest_state WHERE one = 1"
"""Asked when a transaction begins; see `State`."""


class State(Frozen, frozen=True):
    """Where a catalog stands; times are microseconds since 1970."""

    format: int
    snaptime: int
    model_snaptime: int
    next_rid: int


def create_tables(connection: Connection) -> None:
    """Make the service's own tables in an empty database."""
    for statement in _TABLES:
        connection.run(statement.format(**connection.dialect.types))
    connection.run(
        "INSERT INTO _ermrest_state VALUES (1, ?, 0, 0, ?, ?, NULL)", (FORMAT, FIRST_RID, stored_time(0))
    )


def begin_moment(connection: Connection, now: int, client_id: str | None) -> None:
    """Tell the triggers which time and which client this transaction has."""
    connection.run("UPDATE _ermrest_state SET now = ?, client = ?", (stored_time(now), client_id))


def end_moment(connection: Connection, now: int, next_rid: int, *, model_changed: bool) -> None:
    """Record the transaction as a snapshot."""
    connection.run(
        "UPDATE _ermrest_state SET snaptime = ?, next_rid = ?,"
        " model_snaptime = CASE WHEN ? = 1 THEN ? ELSE model_snaptime END",
        (now, next_rid, int(model_changed), now),
    )
    connection.run("INSERT INTO _ermrest_snapshot VALUES (?, ?)", (now, int(model_changed)))


def mark_amended(connection: Connection, now: int, since: int, until: int) -> None:
    """Record that this transaction changed the past from `since` until before `until`."""
    connection.run("INSERT INTO _ermrest_amendment VALUES (?, ?, ?)", (now, since, until))


def last_amendment(connection: Connection, since: int, until: int) -> int | None:
    """When anything from `since` until before `until` was last amended, None if never."""
    found: int | None = connection.run(
        "SELECT max(time) FROM _ermrest_amendment WHERE since < ? AND until > ?", (until, since)
    ).scalar()
    return found


def forget_snapshots(connection: Connection, before: int) -> None:
    """Let `before`, a snapshot, be the first one known; it shows the model that was valid then."""
    connection.run("DELETE FROM _ermrest_snapshot WHERE time < ?", (before,))
    connection.run("UPDATE _ermrest_snapshot SET model = 1 WHERE time = ?", (before,))
    connection.run("DELETE FROM _ermrest_model_history WHERE until <= ?", (before,))


def abandon(connection: Connection) -> None:
    """Undo everything of this transaction."""
    connection.raw.rollback()


def latest_snapshot(connection: Connection, moment: int) -> tuple[int, int] | None:
    """The last snapshot not later than `moment` and the last model change it shows, None before the first."""
    row = connection.run(
        "SELECT (SELECT max(time) FROM _ermrest_snapshot WHERE time <= ?),"
        " (SELECT time FROM _ermrest_snapshot WHERE time <= ? AND model = 1 ORDER BY time DESC LIMIT 1)",
        (moment, moment),
    ).one()
    return None if row[0] is None else (row[0], row[1])


def snapshots_between(connection: Connection, start: int | None, end: int | None) -> tuple[int, int] | None:
    """First and last snapshot in a closed range of times, None when there is none."""
    first, last = connection.run(
        "SELECT min(time), max(time) FROM _ermrest_snapshot WHERE time >= ? AND time <= ?",
        (0 if start is None else start, 2**62 if end is None else end),
    ).one()
    return None if first is None else (first, last)


def read_documents(connection: Connection) -> list[tuple[str, str]]:
    """RID and stored document of every present element group."""
    rows = connection.run("SELECT rid, document FROM _ermrest_model")
    return [(row[0], row[1]) for row in rows]


def read_past_documents(connection: Connection, moment: int) -> list[tuple[str, str]]:
    """RID and stored document of every element group as of a snapshot."""
    rows = connection.run(
        "SELECT rid, document FROM _ermrest_model WHERE since <= ? UNION ALL "
        "SELECT rid, document FROM _ermrest_model_history WHERE since <= ? AND until > ?",
        (moment, moment, moment),
    )
    return [(row[0], row[1]) for row in rows]


def write_documents(
    connection: Connection, changed: Mapping[str, str], dropped: Iterable[str], now: int
) -> None:
    """Store new documents and drop others; what they supersede goes to the history."""
    gone = list(dropped)
    parameters = [(now, rid, now) for rid in (*changed, *gone)]
    if not parameters:
        return
    connection.run(
        "INSERT INTO _ermrest_model_history SELECT rid, since, ?, document FROM _ermrest_model"
        " WHERE rid = ? AND since < ?",
        parameters,
    )
    if changed:
        connection.run(
            "INSERT INTO _ermrest_model VALUES (?, ?, ?) ON CONFLICT (rid) DO UPDATE"
            " SET since = excluded.since, document = excluded.document",
            [(rid, now, document) for rid, document in changed.items()],
        )
    if gone:
        connection.run("DELETE FROM _ermrest_model WHERE rid = ?", [(rid,) for rid in gone])


def read_documents_between(connection: Connection, since: int, until: int) -> list[tuple[str, int, str]]:
    """RID, begin and stored document of every version that was valid at some moment of a range."""
    rows = connection.run(
        "SELECT rid, since, document FROM _ermrest_model WHERE since < ? UNION ALL "
        "SELECT rid, since, document FROM _ermrest_model_history WHERE since < ? AND until > ?",
        (until, until, since),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def split_documents(connection: Connection, rid: str, moment: int) -> None:
    """Let one version of an element group end and the next, equal one begin at a snapshot."""
    run = connection.run
    run(
        "INSERT INTO _ermrest_model_history SELECT rid, ?, until, document FROM _ermrest_model_history"
        " WHERE rid = ? AND since < ? AND until > ?",
        (moment, rid, moment, moment),
    )
    run(
        "UPDATE _ermrest_model_history SET until = ? WHERE rid = ? AND since < ? AND until > ?",
        (moment, rid, moment, moment),
    )
    run(
        "INSERT INTO _ermrest_model_history SELECT rid, since, ?, document FROM _ermrest_model"
        " WHERE rid = ? AND since < ?",
        (moment, rid, moment),
    )
    run("UPDATE _ermrest_model SET since = ? WHERE rid = ? AND since < ?", (moment, rid, moment))
    run("UPDATE _ermrest_snapshot SET model = 1 WHERE time = ?", (moment,))


def replace_past_document(connection: Connection, rid: str, since: int, document: str) -> None:
    """Put another document in the place of the superseded version that began at `since`."""
    connection.run(
        "UPDATE _ermrest_model_history SET document = ? WHERE rid = ? AND since = ?", (document, rid, since)
    )


def take_serials(connection: Connection, column_rid: str, count: int) -> range:
    """The next `count` numbers of a serial column."""
    end = connection.run(
        "INSERT INTO _ermrest_serial VALUES (?, ?) ON CONFLICT (column_rid) DO UPDATE"
        " SET next = _ermrest_serial.next + excluded.next - 1 RETURNING next",
        (column_rid, 1 + count),
    ).scalar_one()
    return range(end - count, end)


def mark_changes(connection: Connection, table_rids: Iterable[str], now: int) -> None:
    """Note that rows of these tables changed in this transaction."""
    parameters = [(rid, now) for rid in table_rids]
    if parameters:
        connection.run(
            "INSERT INTO _ermrest_change VALUES (?, ?) ON CONFLICT (table_rid) DO UPDATE SET time = excluded.time",
            parameters,
        )


def last_change(connection: Connection, table_rid: str) -> int:
    """When rows of a table last changed."""
    found = connection.run("SELECT time FROM _ermrest_change WHERE table_rid = ?", (table_rid,))
    return found.scalar() or 0
