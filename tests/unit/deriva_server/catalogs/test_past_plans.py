import pytest

from deriva_server.catalogs import rows
from deriva_server.grammar.routes import parse_target
from deriva_server.names import stored_time
from deriva_server.plan.bind import bind
from deriva_server.plan.writes import plan_insert
from deriva_server.sql.compile import compile_read

COLUMNS = {"t": "text", "i": "int4", "f": "float8", "b": "boolean", "w": "timestamptz", "d": "jsonb"}


def path(target):
    return parse_target(f"/ermrest/catalog/1/{target}").route.resource


def row(at, fields):
    values = {"t": f"t{at}", "i": at, "f": "NaN" if at == 5 else at / 7, "b": 1}
    return tuple(values.get(field.name) for field in fields)


@pytest.fixture
def past(catalog, client, extend, table_document):
    """A catalog with live and superseded rows, and the moment before the latest of its changes."""
    columns = [{"name": name, "type": {"typename": type_}} for name, type_ in COLUMNS.items()]
    extend(catalog, {"schemas": {"s": {"tables": {"T": table_document("T", *columns)}}}})
    target = path("entity/s:T")
    with catalog.write(client) as writing:
        plan = plan_insert(rows.access(writing).model, target, frozenset(), frozenset(), None)
        batch = [[row(at, plan.given) for at in range(9)]]
        list(rows.insert(writing, plan, batch, "json"))
    with catalog.write(client) as writing:
        moment = writing.now - 1
        table = writing.model.schemas["s"].tables["T"]
        writing.data_changed(table)
        named, now = writing.connection.dialect.tables.named(table), stored_time(writing.now)
        writing.connection.run(f"""UPDATE {named} SET t = 'new', "RMT" = ? WHERE i > 3""", (now,))
    return moment


def plan_of(catalog, client, past, target):
    """The steps by which SQLite makes the answer."""
    with catalog.read(client, as_of=past) as reading:
        connection = reading.connection
        if connection.dialect.name != "sqlite":
            pytest.skip("How PostgreSQL merges depends on its statistics.")
        query = bind(reading.model, path(target), 4)
        read = compile_read(connection.dialect.expressions, query, reading.source, "json")
        shown = str(read.statement.compile(connection.raw, compile_kwargs={"literal_binds": True}))
        return [str(row[-1]) for row in connection.run(f"EXPLAIN QUERY PLAN {shown}")]


@pytest.mark.parametrize(
    ("target", "searches"),
    [
        ("entity/s:T", 0),
        ("entity/s:T@sort(RID)", 0),
        ("entity/s:T@sort(RID::desc::)", 0),
        ("entity/s:T/RID=1-000", 2),
    ],
)
def test_many_rows_of_the_past_come_in_order_by_index(monkeypatch, catalog, client, past, target, searches):
    monkeypatch.setattr("deriva_server.sql.sqlite.expressions._FEW_VERSIONS", 0)
    plan = plan_of(catalog, client, past, target)
    assert not any("TEMP B-TREE" in step or "AUTOMATIC" in step for step in plan), plan
    assert sum(step.startswith("SEARCH") for step in plan) == searches, plan


def test_few_versions_since_are_looked_up_by_their_end(catalog, client, past):
    plan = plan_of(catalog, client, past, "entity/s:T@sort(RID)")
    at = plan.index("RIGHT")
    assert not any("TEMP B-TREE" in step for step in plan[:at]), plan
    assert any(step.startswith("SEARCH") and "(until>?)" in step for step in plan[at:]), plan


def test_rows_of_the_past_are_what_they_were(catalog, client, past):
    with catalog.read(client, as_of=past) as reading:
        _names, pieces = rows.read(reading, path("attribute/s:T/t,i,f,b@sort(i)"), "csv")
        found = [text for piece in pieces for text in piece]
    assert found == [
        f"t{at},{at},{'NaN' if at == 5 else repr(at / 7).removesuffix('.0')},t" for at in range(9)
    ]
