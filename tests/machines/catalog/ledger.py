"""A load on one schema of its own, with a model of what must be there after any request."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests
from tests.deployments import Answer, Caller, column, reference, table

CATALOG = "/ermrest/catalog/1"
_SYSTEM = frozenset(("RID", "RCT", "RMT", "RCB", "RMB"))
Row = dict[str, Any]


@dataclass
class Table:
    """What one table must hold: its columns beside the key ``K``, and its rows by key."""

    columns: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    parent: str | None = None
    """The table whose key the column ``P`` refers to; its rows take those that refer to them with them."""


State = dict[str, Table]


@dataclass
class Request:
    """A request, and what it leads to."""

    method: str
    path: str
    body: Any
    after: State


class Ledger:
    """One writer on a schema of its own.

    Attributes
    ----------
    state : dict of str to Table
        What the last acknowledged request led to.
    open : Request or None
        Sent but not answered: it may have happened or not.
    kept : list of (str, State)
        Snapshots that acknowledged requests made, with what they must show.
    """

    def __init__(self, number: int) -> None:
        self.schema = f"w{number}"
        self.random = random.Random(number)
        self.count = 0
        self.state: State = {}
        self.open: Request | None = None
        self.kept: list[tuple[str, State]] = []
        self.acknowledged = self.busy = 0

    def set_up(self, caller: Caller) -> None:
        assert caller.send("POST", f"{CATALOG}/schema/{self.schema}").status == 201

    def run(self, caller: Caller) -> None:
        """Send one request after the other until the server is gone."""
        while True:
            self.open = self._next()
            try:
                answer = caller.send(self.open.method, CATALOG + self.open.path, self.open.body)
            except requests.RequestException:
                return
            if answer.status == 503:
                self.busy += 1
                continue
            assert answer.status < 300, (self.open.method, self.open.path, answer.status, answer.body)
            self.state = self.open.after
            self.kept.append((answer.snapshot, self.state))
            self.open = None
            self.acknowledged += 1

    def settle(self, caller: Caller) -> str:
        """Compare with what is there after a crash; tells what became of the open request."""
        found = shown(caller, self.schema)
        fate = "none open"
        if found != visible(self.state):
            assert self.open is not None, ("an acknowledged request is missing", self.schema)
            assert found == visible(self.open.after), ("half done", self.open.method, self.open.path)
            self.state, fate = self.open.after, "happened"
        elif self.open is not None:
            fate = "did not happen"
        self.open = None
        return fate

    def check_kept(self, caller: Caller, newest: int | None = None) -> int:
        """History agrees: every snapshot of an acknowledged request shows what that request led to."""
        kept = self.kept if newest is None else self.kept[-newest:]
        for moment, state in kept:
            assert shown(caller, self.schema, f"@{moment}") == visible(state), (self.schema, moment)
        return len(kept)

    def _next(self) -> Request:
        self.count += 1
        while True:
            after = copy.deepcopy(self.state)
            names = list(after)
            action = self.random.choice(_ACTIONS) if names else Ledger._create
            made = action(self, after, self.random.choice(names) if names else "")
            if made is not None:
                return Request(*made, after)

    def _path(self, name: str) -> str:
        return f"/schema/{self.schema}/table/{quote(name)}"

    def _create(self, after: State, _name: str) -> _Step:
        """Two tables, one referring to the other, in one request."""
        if len(after) > 4:
            return None
        one, two = f"T{self.count}", f"U{self.count}"
        link = reference(self.schema, "P", one, "K", on_delete="CASCADE", on_update="CASCADE")
        plain = [column("K", "text"), column("n", "int4")]
        documents = [
            table(self.schema, one, plain, [["K"]]),
            table(self.schema, two, [*plain, column("P", "text")], [["K"]], [link]),
        ]
        after[one], after[two] = Table({"n": "int4"}), Table({"n": "int4", "P": "text"}, parent=one)
        return "POST", "/schema", documents

    def _insert(self, after: State, name: str) -> _Step:
        into = after[name]
        parents = list(after[into.parent].rows) if into.parent else []
        count = self.random.choice([1, 3, 20, 400])
        new = {}
        for place in range(count):
            row = {own: self._value(type_) for own, type_ in into.columns.items()}
            if into.parent:
                row["P"] = self.random.choice(parents) if parents else None
            new[f"{self.count}-{place}"] = row
        into.rows |= new
        return (
            "POST",
            f"/entity/{self.schema}:{quote(name)}",
            [{"K": key, **row} for key, row in new.items()],
        )

    def _update(self, after: State, name: str) -> _Step:
        into = after[name]
        targets = [own for own in into.columns if own != "P"]
        if not into.rows or not targets:
            return None
        own = self.random.choice(targets)
        keys = self.random.sample(list(into.rows), min(len(into.rows), 30))
        rows = [{"K": key, own: self._value(into.columns[own])} for key in keys]
        for row in rows:
            into.rows[row["K"]][own] = row[own]
        return "PUT", f"/attributegroup/{self.schema}:{quote(name)}/K;{own}", rows

    def _rekey(self, after: State, name: str) -> _Step:
        """Rename a row; those that refer to it follow."""
        into = after[name]
        if not into.rows:
            return None
        old, new = self.random.choice(list(into.rows)), f"k{self.count}"
        into.rows[new] = into.rows.pop(old)
        for other in after.values():
            if other.parent == name:
                for row in other.rows.values():
                    row["P"] = new if row["P"] == old else row["P"]
        return (
            "PUT",
            f"/attributegroup/{self.schema}:{quote(name)}/o:=K;n:=K",
            [{"o": old, "n": new}],
        )

    def _delete(self, after: State, name: str) -> _Step:
        into = after[name]
        if not into.rows:
            return None
        keys = set(self.random.sample(list(into.rows), min(len(into.rows), self.random.choice([1, 5, 100]))))
        into.rows = {key: row for key, row in into.rows.items() if key not in keys}
        for other in after.values():
            if other.parent == name:
                other.rows = {key: row for key, row in other.rows.items() if row["P"] not in keys}
        return "DELETE", f"/entity/{self.schema}:{quote(name)}/K=any({','.join(sorted(keys))})", None

    def _add_column(self, after: State, name: str) -> _Step:
        into, own = after[name], f"c{self.count}"
        type_ = self.random.choice(["int4", "text", "float8"])
        given = self.random.choice([None, self._value(type_)])
        into.columns[own] = type_
        for row in into.rows.values():
            row[own] = given
        return "POST", f"{self._path(name)}/column", column(own, type_, default=given)

    def _any_column(self, into: Table, type_: str = "") -> str | None:
        able = [own for own, is_a in into.columns.items() if own != "P" and is_a.startswith(type_)]
        return self.random.choice(able) if able else None

    def _drop_column(self, after: State, name: str) -> _Step:
        own = self._any_column(after[name])
        if own is None:
            return None
        del after[name].columns[own]
        for row in after[name].rows.values():
            del row[own]
        return "DELETE", f"{self._path(name)}/column/{own}", None

    def _rename_column(self, after: State, name: str) -> _Step:
        own, new = self._any_column(after[name]), f"r{self.count}"
        if own is None:
            return None
        for row in (after[name].columns, *after[name].rows.values()):
            row[new] = row.pop(own)
        return "PUT", f"{self._path(name)}/column/{own}", {"name": new}

    def _retype_column(self, after: State, name: str) -> _Step:
        own, type_ = self._any_column(after[name], "int4"), self.random.choice(["int8", "text", "float8"])
        if own is None:
            return None
        after[name].columns[own] = type_
        for row in after[name].rows.values():
            if type_ == "text" and row[own] is not None:
                row[own] = str(row[own])
        return "PUT", f"{self._path(name)}/column/{own}", {"type": {"typename": type_}}

    def _rename_table(self, after: State, name: str) -> _Step:
        new = f"N{self.count}"
        after[new] = after.pop(name)
        for other in after.values():
            other.parent = new if other.parent == name else other.parent
        return "PUT", self._path(name), {"table_name": new}

    def _drop_table(self, after: State, name: str) -> _Step:
        if any(other.parent == name for other in after.values()):
            return None
        del after[name]
        return "DELETE", self._path(name), None

    def _value(self, type_: str) -> Any:
        if self.random.random() < 0.1:
            return None
        number = self.random.randrange(1000)
        return f"v{number}" if type_ == "text" else number / 4 if type_ == "float8" else number


_Step = tuple[str, str, Any] | None
_ACTIONS: list[Callable[[Ledger, State, str], _Step]] = [
    *[Ledger._insert] * 6,
    *[Ledger._update] * 4,
    *[Ledger._rekey] * 2,
    *[Ledger._delete] * 3,
    *[Ledger._add_column] * 2,
    Ledger._drop_column,
    Ledger._rename_column,
    *[Ledger._retype_column] * 2,
    Ledger._rename_table,
    Ledger._drop_table,
    Ledger._create,
]

Shown = dict[str, tuple[dict[str, str], dict[str, Row]]]


def visible(state: State) -> Shown:
    """A state in the words of `shown`."""
    return {name: (into.columns, into.rows) for name, into in state.items()}


def shown(caller: Caller, schema: str, at: str = "") -> Shown:
    """What the catalog shows of a schema, now or at a snapshot."""

    def ask(path: str) -> Any:
        answer: Answer = caller.send("GET", f"{CATALOG}{at}{path}")
        assert answer.status == 200, (path, answer.body)
        return answer.json

    found: Shown = {}
    for document in ask(f"/schema/{schema}/table"):
        name = document["table_name"]
        types = {own["name"]: own["type"]["typename"] for own in document["column_definitions"]}
        rows = ask(f"/entity/{schema}:{quote(name)}")
        found[name] = (
            {own: type_ for own, type_ in types.items() if own not in _SYSTEM and own != "K"},
            {row["K"]: dict(_own(row)) for row in rows},
        )
        assert len(found[name][1]) == len(rows)
    return found


def _own(row: Row) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in row.items() if name not in _SYSTEM and name != "K")
