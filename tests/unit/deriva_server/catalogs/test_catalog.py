import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deriva_server.catalogs.catalog import Catalog
from deriva_server.errors import Conflict, DeploymentError, Forbidden, Unauthorized
from deriva_server.identity import ANONYMOUS, Client
from deriva_server.names import FIRST_RID, decode_id, encode_id, stored_time
from deriva_server.sql.dialect import quote


def insert(writing, table, **values):
    now = stored_time(writing.now)
    values = {"RID": writing.rids()[0], "RCT": now, "RMT": now, **values}
    columns = ", ".join(quote(table.column_by_name[name].storage) for name in values)
    marks = ", ".join("?" * len(values))
    writing.connection.run(
        f"INSERT INTO {named(writing, table)} ({columns}) VALUES ({marks})", tuple(values.values())
    )
    writing.data_changed(table)
    return values["RID"]


def named(writing, table):
    return writing.connection.dialect.tables.named(table)


def rows(reading, schema, table, *columns):
    found = reading.model.schemas[schema].tables[table]
    source = reading.source(found)
    return [
        tuple(
            value.isoformat(timespec="microseconds") if hasattr(value, "isoformat") else value
            for value in row
        )
        for row in reading.connection.raw.execute(
            source.select().with_only_columns(
                *(source.c[found.column_by_name[name].storage] for name in columns)
            )
        )
    ]


@pytest.fixture
def filled(catalog, extend, table_document):
    extend(catalog, {"schemas": {"s": {"tables": {"T": table_document("T", "x")}}}})
    return catalog


def table(transaction, name="T"):
    return transaction.model.schemas["s"].tables[name]


def test_rids_are_shared_with_the_model_and_never_repeat(filled, client):
    with filled.read(client) as reading:
        known = {
            reading.model.schemas["s"].rid,
            table(reading).rid,
            *(column.rid for column in table(reading).columns),
        }
    assert min(map(decode_id, known)) >= FIRST_RID
    with filled.write(client) as writing:
        first = insert(writing, table(writing), x="a")
        assert first not in known
        writing.reserve_beyond(decode_id(first) + 1000)
    with filled.write(client) as writing:
        assert writing.rids(2) == [encode_id(decode_id(first) + 1001), encode_id(decode_id(first) + 1002)]
        writing.reserve_beyond(3)
        assert decode_id(writing.rids()[0]) == decode_id(first) + 1003


def test_time_never_stands_still_nor_goes_back(filled, client, monkeypatch):
    seen = []
    for clock in (None, 5, 5):
        if clock is not None:
            monkeypatch.setattr(time, "time_ns", lambda clock=clock: clock)
        with filled.write(client) as writing:
            insert(writing, table(writing))
            seen.append(writing.now)
        with filled.read(client) as reading:
            assert reading.snaptime == writing.now == seen[-1]
    assert seen == sorted(set(seen))


def test_nothing_changed_means_no_snapshot(filled, client):
    with filled.read(client) as reading:
        before = reading.snaptime
    with filled.write(client) as writing:
        writing.rids(5)
    with filled.read(client) as reading:
        assert reading.snaptime == before


def test_errors_leave_nothing(filled, client, table_document):
    with pytest.raises(RuntimeError), filled.write(client) as writing:
        insert(writing, table(writing), x="a")
        raise RuntimeError
    with filled.read(client) as reading:
        assert rows(reading, "s", "T", "x") == []


def test_rows_do_not_move_the_model(filled, client):
    with filled.read(client) as reading:
        model, version = reading.model, reading.model_snaptime
    with filled.write(client) as writing:
        insert(writing, table(writing), x="a")
    with filled.read(client) as reading:
        assert reading.model is model
        assert reading.model_snaptime == version < reading.snaptime


def test_other_processes_changes_are_seen(filled, client, extend, table_document, databases):
    twin = Catalog(filled.id, databases.catalog(filled.id))
    with twin.read(client) as reading:
        assert "U" not in reading.model.schemas["s"].tables
    extend(filled, [table_document("U", schema_name="s")])
    with twin.read(client) as reading:
        assert "U" in reading.model.schemas["s"].tables
        twins = reading.model
    with filled.read(client) as reading:
        assert reading.model == twins
    twin.close()


def test_snapshots_show_what_was(filled, client):
    moments = []
    with filled.write(client) as writing:
        rid = insert(writing, table(writing), x="a")
    moments.append(writing.now)
    with filled.write(client) as writing:
        writing.connection.run(
            f"""UPDATE {named(writing, table(writing))} SET x = 'b', "RMT" = ?""", (stored_time(writing.now),)
        )
        writing.data_changed(table(writing))
    moments.append(writing.now)
    with filled.write(client) as writing:
        writing.connection.run(f"DELETE FROM {named(writing, table(writing))}")
        writing.data_changed(table(writing))
    moments.append(writing.now)
    expected = [[(rid, "a")], [(rid, "b")], []]
    for moment, want in zip(moments, expected, strict=True):
        with filled.read(client, as_of=moment) as reading:
            assert rows(reading, "s", "T", "RID", "x") == want
            assert reading.snaptime == reading.as_of == moment
        with filled.read(client, as_of=moment + 1) as reading:
            assert reading.as_of == moment
    with (
        pytest.raises(Conflict, match=f'revision "{encode_id(5)}".*is prior to any known revision'),
        filled.read(client, as_of=5),
    ):
        pass


def test_rows_touched_by_foreign_keys_are_new_versions(catalog, client, extend, table_document):
    reference = {
        "foreign_key_columns": [{"column_name": "t"}],
        "referenced_columns": [{"schema_name": "s", "table_name": "T", "column_name": "RID"}],
        "on_delete": "SET NULL",
    }
    extend(
        catalog,
        {
            "schemas": {
                "s": {
                    "tables": {
                        "T": table_document("T"),
                        "U": table_document("U", "t", foreign_keys=[reference]),
                    }
                }
            }
        },
    )
    with catalog.write(client) as writing:
        rid = insert(writing, table(writing))
        insert(writing, table(writing, "U"), t=rid)
    before = writing.now
    other = Client("lee", attributes=("kim",))
    with catalog.write(other) as writing:
        writing.connection.run(f"DELETE FROM {named(writing, table(writing))}")
        writing.data_changed(table(writing))
    with catalog.read(client) as reading:
        assert rows(reading, "s", "U", "t", "RMT", "RMB") == [(None, stored_time(writing.now), "lee")]
    with catalog.read(client, as_of=before) as reading:
        assert rows(reading, "s", "U", "t", "RMT") == [(rid, stored_time(before))]


def test_tables_untouched_since_a_snapshot_are_read_live(filled, client, extend, table_document):
    with filled.write(client) as writing:
        insert(writing, table(writing), x="a")
    with filled.write(client) as writing:
        writing.data_changed(writing.model.schemas["public"].tables["ERMrest_Group"])
    with filled.read(client, as_of=writing.now - 1) as reading:
        assert reading.as_of < writing.now
        assert "history" not in str(reading.source(table(reading)).select())
    with filled.write(client) as writing:
        writing.data_changed()
    with filled.read(client, as_of=writing.now - 1) as reading:
        assert "history" in str(reading.source(table(reading)).select())


def test_reads_need_the_right_to_enumerate(filled):
    with pytest.raises(Forbidden), filled.read(Client("stranger")):
        pass
    with pytest.raises(Unauthorized), filled.write(ANONYMOUS):
        pass


def test_serial_numbers(filled, client):
    with filled.write(client) as writing:
        assert list(writing.serials("c", 2)) == [1, 2]
        assert list(writing.serials("c", 3)) == [3, 4, 5]
        assert list(writing.serials("d", 1)) == [1]


def test_a_newer_format_is_refused(filled, client):
    with filled.write(client) as writing:
        writing.connection.run("UPDATE _ermrest_state SET format = 99")
        writing.data_changed()
    with pytest.raises(DeploymentError, match="99"), filled.read(client):
        pass


def test_parallel_writers_get_distinct_times_and_rids(filled, client):
    def work(_):
        with filled.write(client) as writing:
            return insert(writing, table(writing)), writing.now

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(work, range(60)))
    assert len({rid for rid, _ in done}) == len({now for _, now in done}) == 60
