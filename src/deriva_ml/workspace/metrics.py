"""What this machine knows of the metrics of one catalog: which files there are, and what their contents come to.

A cache: everything in it can be read again. Contents are kept by their MD5, so that nothing is read twice; which
files there are is kept with the moment it was read at.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from deriva_ml.workspace.database import Database

if TYPE_CHECKING:
    from deriva_ml.ermrest.metrics import Parsed

MIGRATION = """
CREATE TABLE moment (scope TEXT PRIMARY KEY, snaptime TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE file (
    scope TEXT NOT NULL, asset_rid TEXT NOT NULL, execution_rid TEXT NOT NULL, name TEXT NOT NULL, url TEXT NOT NULL,
    md5 TEXT NOT NULL, length INTEGER, content TEXT NOT NULL, made TEXT NOT NULL,
    PRIMARY KEY (scope, asset_rid, execution_rid)
);
CREATE INDEX file_by_content ON file (scope, content);
CREATE INDEX file_by_execution ON file (scope, execution_rid);
CREATE INDEX file_by_time ON file (scope, made, asset_rid);
CREATE TABLE content (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, records INTEGER NOT NULL, problems TEXT, names TEXT NOT NULL,
    last TEXT NOT NULL, min TEXT NOT NULL, max TEXT NOT NULL, curves BLOB
);
CREATE TABLE metric (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE value (
    content INTEGER NOT NULL, metric INTEGER NOT NULL, last, min, max, PRIMARY KEY (content, metric)
) WITHOUT ROWID;
CREATE INDEX value_by_last ON value (metric, last);
CREATE INDEX value_by_min ON value (metric, min);
CREATE INDEX value_by_max ON value (metric, max)
"""

_FILE_COLUMNS = ("asset_rid", "execution_rid", "name", "url", "md5", "length", "content", "made")
_SELECTED = (
    "f.scope = :scope AND (:executions IS NULL OR f.execution_rid IN (SELECT value FROM json_each(:executions)))"
    " AND (:name IS NULL OR f.name GLOB :name)"
)
_SHOWN = (
    "f.asset_rid, f.execution_rid, f.name, f.url, f.md5, f.length, f.content AS key,"
    " c.id AS content, c.records, c.problems"
)
_FEW = 1000
_FROM_VALUES = (
    "metric m CROSS JOIN value v ON v.metric = m.id CROSS JOIN content c ON c.id = v.content"
    " CROSS JOIN file f ON f.content = c.key"
)
_FROM_FILES = (
    "metric m CROSS JOIN file f CROSS JOIN content c ON c.key = f.content"
    " CROSS JOIN value v ON v.content = c.id AND v.metric = m.id"
)
_ORDER = "f.made, f.asset_rid, f.execution_rid"


@dataclass(frozen=True)
class Selection:
    """Files of metrics to look at.

    Parameters
    ----------
    scope : str
        Snapshot of the catalog; empty for the live one.
    executions : collection of str, optional
        Only files that these made.
    name : str, optional
        Pattern that their names must match, with ``*`` and ``?``.
    """

    scope: str = ""
    executions: Collection[str] | None = None
    name: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """For the statements."""
        chosen = None if self.executions is None else json.dumps(sorted(self.executions))
        return {"scope": self.scope, "executions": chosen, "name": self.name}


class MetricsFile(NamedTuple):
    """One file of metrics, with what is known of its content; `content` is None before it was read."""

    asset_rid: str
    execution_rid: str
    name: str
    url: str
    md5: str
    length: int | None
    key: str
    content: int | None
    records: int | None
    problems: str | None

    @property
    def place(self) -> tuple[str, str]:
        """Which content it is, and where its bytes are."""
        return self.key, self.url


class MetricsStore:
    """Metrics of one catalog.

    Parameters
    ----------
    database : Database
        The SQLite file; it may be removed at any time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()

    # Which files there are ------------------------------------------------------------------------------------------

    def moment(self, scope: str) -> tuple[str, list[Any]]:
        """Snapshot at which the files were last listed, and what else tells whether others came; empty before."""
        row = self._database.fetch_one("SELECT snaptime, state FROM moment WHERE scope = ?", (scope,))
        return (row["snaptime"], json.loads(row["state"])) if row is not None else ("", [])

    def count(self, scope: str) -> int:
        """How many files are known."""
        row = self._database.fetch_one("SELECT count(*) AS n FROM file WHERE scope = ?", (scope,))
        return int(row["n"]) if row is not None else 0

    def put_files(
        self,
        scope: str,
        files: Iterable[Mapping[str, Any]],
        moment: tuple[str, list[Any]],
        *,
        all_of_them: bool,
    ) -> None:
        """Keep files, in place of all others if these are all there are, together with the moment."""
        places = ", ".join("?" for _ in ("scope", *_FILE_COLUMNS))
        rows = [(scope, *(file[name] for name in _FILE_COLUMNS)) for file in files]
        with self._database.transaction() as connection:
            if all_of_them:
                connection.execute("DELETE FROM file WHERE scope = ?", (scope,))
            connection.executemany(
                f"INSERT OR REPLACE INTO file (scope, {', '.join(_FILE_COLUMNS)}) VALUES ({places})", rows
            )
            connection.execute(
                "INSERT OR REPLACE INTO moment VALUES (?, ?, ?)", (scope, moment[0], json.dumps(moment[1]))
            )

    def files(self, selection: Selection) -> list[MetricsFile]:
        """The selected files, in the order in which they were made."""
        return self._files(
            f"LEFT JOIN content c ON c.key = f.content WHERE {_SELECTED} ORDER BY {_ORDER}", selection
        )

    def unread(self, selection: Selection, *, curves: bool) -> list[MetricsFile]:
        """The selected files whose contents are not known yet, one for each content and place."""
        lacking = "c.id IS NULL OR c.curves IS NULL" if curves else "c.id IS NULL"
        found = self._files(
            f"LEFT JOIN content c ON c.key = f.content WHERE {_SELECTED} AND ({lacking}) ORDER BY {_ORDER}",
            selection,
        )
        return list({file.place: file for file in found}.values())

    def ranked(
        self, selection: Selection, metric: str, column: str, *, descending: bool, limit: int | None
    ) -> list[MetricsFile]:
        """The selected files that have a number for a metric, in its order; `column` is last, min or max."""
        way = "DESC" if descending else "ASC"
        # Of many files the index of values is walked in its order, few are sorted; either way from left to right.
        few = selection.executions is not None and len(selection.executions) <= _FEW
        return self._files(
            # Every number is less than every text here.
            f"WHERE m.name = :metric AND v.{column} < '' AND {_SELECTED}"
            f" ORDER BY v.{column} {way}, {_ORDER} LIMIT :limit",
            selection,
            source=_FROM_FILES if few else _FROM_VALUES,
            metric=metric,
            limit=-1 if limit is None else limit,
        )

    def _files(
        self, rest: str, selection: Selection, *, source: str = "file f", **more: Any
    ) -> list[MetricsFile]:
        found = self._database.fetch(f"SELECT {_SHOWN} FROM {source} {rest}", selection.parameters | more)
        return [MetricsFile._make(row) for row in found]

    # What they come to ----------------------------------------------------------------------------------------------

    def add(self, read: Mapping[str, Parsed]) -> None:
        """Keep what contents come to, by their keys."""
        with self._database.transaction() as connection:
            metrics = _metric_ids(connection, [name for parsed in read.values() for name in parsed.names])
            known = _known(connection, read)
            connection.executemany(
                "UPDATE content SET curves = ? WHERE id = ?",
                [(_packed(read[key]), id_) for key, id_ in known.items() if read[key].values is not None],
            )
            first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM content").fetchone()[0]
            new = {first + place: (key, read[key]) for place, key in enumerate(read.keys() - known.keys())}
            connection.executemany(
                "INSERT INTO content VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(id_, *_content(key, parsed)) for id_, (key, parsed) in new.items()],
            )
            connection.executemany(
                "INSERT INTO value VALUES (?, ?, ?, ?, ?)",
                [
                    (id_, metrics[name], *values)
                    for id_, (_, parsed) in new.items()
                    for name, *values in zip(
                        parsed.names, parsed.last, parsed.lowest, parsed.highest, strict=True
                    )
                ],
            )

    def names(self, selection: Selection) -> list[str]:
        """Metrics of the selected files, in the order in which they came up first."""
        found = self._database.fetch(
            f"SELECT c.names FROM file f JOIN content c ON c.key = f.content WHERE {_SELECTED}"
            " GROUP BY c.names ORDER BY min(f.made)",
            selection.parameters,
        )
        return list(dict.fromkeys(name for row in found for name in json.loads(row["names"])))

    def values(self, contents: Collection[int], column: str) -> list[tuple[list[str], dict[int, list[Any]]]]:
        """Values of some contents; those with the same metrics come together, as these metrics and a list for each."""
        found = self._database.fetch(
            f"SELECT names, json_group_array(id), group_concat({column}) FROM content"
            " WHERE id IN (SELECT value FROM json_each(?)) GROUP BY names",
            (json.dumps(list(contents)),),
        )
        return [
            (json.loads(names), dict(zip(json.loads(ids), json.loads(f"[{lists}]"), strict=True)))
            for names, ids, lists in found
        ]

    def curves(self, contents: Collection[int]) -> dict[int, dict[str, list[Any]]]:
        """All values of some contents, by metric."""
        found = self._database.fetch(
            "SELECT id, curves FROM content WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(contents)),),
        )
        return {id_: json.loads(zlib.decompress(packed)) for id_, packed in found}


def _content(key: str, parsed: Parsed) -> tuple[Any, ...]:
    problems = json.dumps(parsed.problems) if parsed.problems else None
    values = (json.dumps(column) for column in (parsed.names, parsed.last, parsed.lowest, parsed.highest))
    return (key, parsed.records, problems, *values, _packed(parsed))


def _packed(parsed: Parsed) -> bytes | None:
    if parsed.values is None:
        return None
    return zlib.compress(json.dumps(dict(zip(parsed.names, parsed.values, strict=True))).encode(), 1)


def _known(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    found = connection.execute(
        "SELECT key, id FROM content WHERE key IN (SELECT value FROM json_each(?))",
        (json.dumps(list(keys)),),
    )
    return dict(map(tuple, found))


def _metric_ids(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    wanted = json.dumps(list(dict.fromkeys(names)))
    connection.execute(
        "INSERT OR IGNORE INTO metric (name) SELECT value FROM json_each(?)",
        (wanted,),
    )
    found = connection.execute(
        "SELECT name, id FROM metric WHERE name IN (SELECT value FROM json_each(?))", (wanted,)
    )
    return dict(map(tuple, found))
