"""Aggregates made of ranges of a table, against the same made by one statement."""

import itertools
import json
import os
import threading
import time
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.deployments import Direct, opened

from deriva_server.errors import TimeLimit
from deriva_server.sql import connect, rows
from deriva_server.sql.sqlite import expressions, parts

COLUMNS = {
    "kind": "text",
    "n": "int4",
    "w": "int8",
    "v": "float8",
    "s": "float4",
    "m": "numeric",
    "flag": "boolean",
    "day": "date",
    "taken": "timestamptz",
    "tags": "text[]",
}
TEXTS = ["", "a", "A", "a ", "é", "é", "Z", "ﬀ", "￿", "\U0001f600", "NaN", "1"]
SPECIAL = ["NaN", "Infinity", "-Infinity", -0.0, 0.0]
quarters = st.integers(-(10**6), 10**6).map(lambda number: number / 4)
exact_floats = st.one_of(quarters, st.sampled_from(SPECIAL))
any_floats = st.one_of(st.floats(-1e300, 1e300), st.sampled_from(SPECIAL))
VALUES = {
    "kind": st.sampled_from(TEXTS),
    "n": st.integers(-(2**31), 2**31 - 1),
    "w": st.integers(-(2**63), 2**63 - 1),
    "v": exact_floats,
    "s": exact_floats,
    "m": st.decimals(-(10**9), 10**9, places=3).map(float),
    "flag": st.booleans(),
    "day": st.dates().map(str),
    "taken": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    "tags": st.lists(st.sampled_from(TEXTS[:4]), max_size=2),
}
FUNCTIONS = ["cnt", "min", "max", "sum", "avg"]
NUMBERS = ["n", "w", "v", "s"]
AGGREGATES = [
    *(f"{function}({column})" for function, column in itertools.product(FUNCTIONS, NUMBERS)),
    *(f"{function}({column})" for function in FUNCTIONS[:3] for column in ("kind", "day", "taken")),
    "cnt(flag)",
    "cnt(*)",
    "cnt(RID)",
]
FILTERS = [
    "",
    "n::gt::0/",
    "kind=any(a,A,1)/",
    "v::null::/",
    "kind::ciregexp::%5Ba-f%5D/",
    "n=1;w=2/",
    "!(v=0)/",
]
COLUMN = {name: {"name": name, "type": {"typename": type_}} for name, type_ in COLUMNS.items()}
COLUMN["tags"]["type"] |= {"is_array": True, "base_type": {"typename": "text"}}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Replaces the rows of a table, and reads it."""
    with opened(tmp_path_factory.mktemp("parts") / "x", None) as server:
        caller = Direct(server)
        base = f"/ermrest/catalog/{caller.send('POST', '/ermrest/catalog').json['id']}"
        assert caller.send("POST", f"{base}/schema/S").status == 201
        system = [
            {"name": name, "type": {"typename": f"ermrest_{name.lower()}"}, "nullok": name in ("RCB", "RMB")}
            for name in ("RID", "RCT", "RMT", "RCB", "RMB")
        ]
        document = {
            "schema_name": "S",
            "table_name": "T",
            "column_definitions": [
                *system,
                *COLUMN.values(),
                *({"name": name, "type": {"typename": "int4"}} for name in ("key", "tenth")),
            ],
            "keys": [{"unique_columns": key} for key in (["RID"], ["key"], ["tenth", "key"])],
        }
        assert caller.send("POST", f"{base}/schema/S/table", document).status == 201
        yield Table(caller, base)


class Table:
    def __init__(self, caller, base):
        self.caller, self.base = caller, base

    def fill(self, rows):
        self.caller.send("DELETE", f"{self.base}/entity/S:T")
        answer = self.caller.send("POST", f"{self.base}/entity/S:T", rows)
        assert answer.status == 200, answer.body

    def read(self, path):
        answer = self.caller.send("GET", self.base + path)
        return answer.status, answer.body


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Ranges of a few rows, however small the table."""
    monkeypatch.setattr(parts, "_SHORTEST", 4)
    monkeypatch.setattr(parts, "_ROWS_PER_RESULT", 0.1)
    monkeypatch.setattr(parts, "_processors", lambda: 2)


@pytest.fixture
def collected(monkeypatch):
    """What came of every attempt to read in parts, and the threads that read."""
    found, threads = [], set()
    do = parts._Work._do

    def collect(*arguments):
        found.append(parts.collect(*arguments))
        return found[-1]

    def watched(work, connection):
        threads.add(threading.current_thread().name)
        return do(work, connection)

    monkeypatch.setattr(expressions, "collect", collect)
    monkeypatch.setattr(parts._Work, "_do", watched)
    return found, threads


def numbered(count):
    return [
        {"kind": TEXTS[at % 3], "n": at, "v": at * 0.37, "key": at, "tenth": at // 10} for at in range(count)
    ]


def rows_of(values):
    return st.lists(
        st.fixed_dictionaries({name: st.one_of(st.none(), value) for name, value in values.items()}),
        min_size=9,
        max_size=60,
    )


paths = st.builds(
    lambda condition, keys, aggregates, descending, limit, form: (
        condition,
        sorted(keys),
        aggregates,
        descending,
        limit,
        form,
    ),
    st.sampled_from(FILTERS),
    st.sets(st.sampled_from(sorted(COLUMNS)), max_size=2),
    st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=4, unique=True),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 5)),
    st.sampled_from(["application/json", "text/csv"]),
)


def target(condition, keys, aggregates, descending, limit, form):
    named = ",".join(f"a{at}:={aggregate}" for at, aggregate in enumerate(aggregates))
    if not keys:
        return f"/aggregate/A:=S:T/{condition}{named}?accept={quote(form)}"
    order = "::desc::" if descending else ""
    sort = ",".join(f"{name}{order}" for name in ["a0", *keys])
    page = "" if limit is None else f"&limit={limit}"
    path = f"/attributegroup/A:=S:T/{condition}{','.join(keys)};{named}"
    return f"{path}@sort({sort})?accept={quote(form)}{page}"


def agree(table, monkeypatch, rows, queries):
    """Parts give the same bytes as one statement."""
    table.fill(rows)
    for query in queries:
        path = target(*query)
        with monkeypatch.context() as patch:
            patch.setattr(parts, "_SHORTEST", 1 << 40)
            expected = table.read(path)
        assert expected[0] == 200, expected
        assert table.read(path) == expected, path


examples = given(rows=rows_of(VALUES), queries=st.lists(paths, min_size=4, max_size=8))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@examples
def test_parts_give_the_same_bytes_as_one_statement(table, monkeypatch, rows, queries):
    agree(table, monkeypatch, rows, queries)


@pytest.mark.soak
@settings(max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@examples
def test_many_parts_give_the_same_bytes_as_one_statement(table, monkeypatch, rows, queries):
    agree(table, monkeypatch, rows, queries)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of({"kind": VALUES["kind"], "v": any_floats}))
def test_floats_do_not_depend_on_the_threads(table, monkeypatch, rows):
    table.fill(rows)
    path = "/attributegroup/S:T/kind;a:=avg(v),s:=sum(v)"
    shared = table.read(path)
    with monkeypatch.context() as patch:
        patch.setattr(parts, "_processors", lambda: 1)
        assert table.read(path) == shared
    with monkeypatch.context() as patch:
        patch.setattr(parts, "_SHORTEST", 1 << 40)
        whole = json.loads(table.read(path)[1])
    for one, other in zip(json.loads(shared[1]), whole, strict=True):
        assert one["kind"] == other["kind"]
        for name in "as":
            near = one[name] == other[name] or one[name] == pytest.approx(other[name], rel=1e-9, abs=1e290)
            assert near, (one, other)


def test_two_threads_read(table, collected):
    found, threads = collected
    table.fill(numbered(500))
    status, body = table.read("/attributegroup/S:T/kind;c:=cnt(RID),m:=max(n)")
    assert (status, json.loads(body)[1]) == (200, {"kind": "A", "c": 166, "m": 497}), body
    assert found == [True]
    assert "deriva-parts" in threads and len(threads) == 2


def test_one_processor_reads_in_one_thread(table, collected, monkeypatch):
    monkeypatch.setattr(parts, "_processors", lambda: 1)
    found, threads = collected
    table.fill(numbered(50))
    table.read("/attributegroup/S:T/kind;c:=cnt(RID)")
    assert found == [True]
    assert threads == {threading.current_thread().name}


@pytest.mark.parametrize(
    ("path", "attempts"),
    [
        # Rows are counted without being read, and an index is read where it holds all that is asked for.
        ("/aggregate/S:T/c:=cnt(*)", []),
        ("/attributegroup/S:T/tenth;c:=cnt(*)", [False]),
        ("/attributegroup/S:T/tenth;c:=cnt(*),m:=max(n)", [True]),
        ("/attributegroup/S:T/tenth;c:=cnt(*),m:=max(n)?limit=3", []),
        ("/attributegroup/S:T/tenth;c:=cnt(*),m:=max(n)@sort(tenth)?limit=3", [True]),
        ("/attributegroup/S:T/key;m:=max(n)", []),
        ("/attributegroup/S:T/key=any(1,2,3)/kind;c:=cnt(*)", [False]),
        ("/attributegroup/S:T/kind;c:=array(n)", []),
        ("/attributegroup/S:T/kind;c:=sum(m)", []),
        ("/attributegroup/S:T/b:=bin(n;3;0;9);c:=cnt(*)", []),
        ("/attributegroup/S:T/kind;key", [True]),
        ("/attributegroup/A:=S:T/B:=(key)=(S:T:key)/A:kind;c:=cnt(*)", []),
    ],
)
def test_what_is_read_in_parts(table, collected, path, attempts):
    table.fill(numbered(50))
    status, body = table.read(path)
    assert status == 200, body
    assert collected[0] == attempts


def test_many_groups_are_left_to_the_database(table, collected, monkeypatch):
    monkeypatch.setattr(parts, "_ROWS_PER_RESULT", 25)
    table.fill(numbered(200))
    _, body = table.read("/attributegroup/S:T/n;c:=cnt(*)")
    assert len(json.loads(body)) == 200
    table.read("/attributegroup/S:T/kind;c:=cnt(*)")
    assert collected[0] == [False, False]
    monkeypatch.setattr(parts, "_SHORTEST", 99)
    table.read("/attributegroup/S:T/kind;c:=cnt(*)")
    assert collected[0][2:] == [True]


def test_rows_far_apart(table):
    for at in range(3):
        table.fill(numbered(40))
        path = f"{table.base}/entity/S:T/n::geq::{30 + at}"
        assert table.caller.send("DELETE", path).status == 204
    assert json.loads(table.read("/aggregate/S:T/c:=cnt(n),s:=sum(n)")[1]) == [{"c": 32, "s": 496}]


def test_a_commit_meanwhile_leaves_one_thread(table, collected, monkeypatch):
    ranges = parts._ranges

    def written(*arguments):
        table.caller.send("POST", f"{table.base}/entity/S:T", [{"kind": "late"}])
        return ranges(*arguments)

    table.fill(numbered(50))
    monkeypatch.setattr(parts, "_ranges", written)
    kinds = [row["kind"] for row in json.loads(table.read("/attributegroup/S:T/kind;c:=cnt(*)")[1])]
    assert kinds == ["", "A", "a"]
    assert collected == ([True], {threading.current_thread().name})


@pytest.mark.parametrize("processors", [1, 2])
def test_the_time_limit_holds(table, monkeypatch, processors):
    table.fill(numbered(100))
    monkeypatch.setattr(parts, "_processors", lambda: processors)
    monkeypatch.setattr(rows, "STATEMENT_SECONDS", 0.0)
    status, body = table.read("/attributegroup/S:T/kind;c:=cnt(*)")
    assert (status, TimeLimit().detail.encode() in body) == (400, True)


def test_an_error_of_the_other_thread_is_answered(table, monkeypatch):
    slow = threading.Event()
    do = parts._Work._do

    def waiting(work, connection):
        # The other thread gets everything, and fails for lack of time.
        if threading.current_thread().name == "deriva-parts":
            work._end = 0.0
            try:
                do(work, connection)
            finally:
                slow.set()
        slow.wait(10)
        work._end = float("inf")
        do(work, connection)

    table.fill(numbered(100))
    monkeypatch.setattr(parts._Work, "_do", waiting)
    assert table.read("/attributegroup/S:T/kind;c:=cnt(*)")[0] == 400


class Pausing:
    """Waits, at its first use, until a fork waits for this process."""

    def __init__(self, lock):
        self.lock, self.reached = lock, threading.Event()

    def __call__(self, *_arguments, **_options):
        if not self.reached.is_set():
            self.reached.set()
            end = time.monotonic() + 5
            while not any(database._forking for database in list(connect._open)) and time.monotonic() < end:
                time.sleep(0.005)
        return self.lock.acquire(blocking=False)

    acquire = __call__

    def release(self):
        self.lock.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("is_inside", [False, True])
def test_a_fork_meanwhile_waits_for_both(table, monkeypatch, is_inside):
    path, answers = "/attributegroup/S:T/kind;c:=cnt(*)", []
    table.fill(numbered(100))
    pausing = Pausing(threading.Lock())
    if is_inside:
        monkeypatch.setattr(parts, "_helping", pausing)
    else:
        monkeypatch.setattr(parts, "_processors", lambda: 2 + 0 * pausing())
    reader = threading.Thread(target=lambda: answers.append(table.read(path)))
    reader.start()
    assert pausing.reached.wait(5)
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if table.read(path)[0] == 200 else 1)
    assert time.monotonic() - began < 4
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    reader.join()
    assert answers == [table.read(path)]
