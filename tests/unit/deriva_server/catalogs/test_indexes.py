import pytest


def reference(column, target):
    return {
        "foreign_key_columns": [{"column_name": column}],
        "referenced_columns": [{"schema_name": "s", "table_name": target, "column_name": "RID"}],
    }


@pytest.mark.parametrize("database", ["sqlite"], indirect=True, scope="session")
def test_indexes_serve_references_and_both_sides_of_associations(catalog, client, extend, table_document):
    link = table_document(
        "L", "a", "b", keys=[["a", "b"]], foreign_keys=[reference("a", "A"), reference("b", "B")]
    )
    tables = {"A": table_document("A"), "B": table_document("B", "n"), "L": link}
    extend(catalog, {"schemas": {"s": {"tables": tables}}})
    with catalog.read(client) as reading:

        def plan(statement):
            rows = reading.connection.raw.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
            return " ".join(str(row[-1]) for row in rows)

        assert "COVERING INDEX" in plan("SELECT b FROM L WHERE a = 'x'")
        assert "COVERING INDEX" in plan("SELECT a FROM L WHERE b = 'x'")
        assert "SEARCH" in plan("SELECT n FROM B WHERE RID = 'x'")
