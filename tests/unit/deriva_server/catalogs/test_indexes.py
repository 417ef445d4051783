def reference(column, target):
    return {
        "foreign_key_columns": [{"column_name": column}],
        "referenced_columns": [{"schema_name": "s", "table_name": target, "column_name": "RID"}],
    }


def test_indexes_serve_references_and_both_sides_of_associations(catalog, client, extend, table_document):
    link = table_document(
        "L", "a", "b", keys=[["a", "b"]], foreign_keys=[reference("a", "A"), reference("b", "B")]
    )
    tables = {"A": table_document("A"), "B": table_document("B", "n"), "L": link}
    extend(catalog, {"schemas": {"s": {"tables": tables}}})
    with catalog.read(client) as reading:
        connection = reading.connection
        explain, table_l, table_b, covering = "EXPLAIN QUERY PLAN", "L", "B", "COVERING INDEX"
        if connection.dialect.name == "postgresql":
            explain, table_l, table_b, covering = "EXPLAIN", 's."L"', 's."B"', "Index Only Scan"
            connection.run("SET LOCAL enable_seqscan = off")
            connection.run("SET LOCAL enable_bitmapscan = off")

        def plan(statement):
            return " ".join(str(row[-1]) for row in connection.run(f"{explain} {statement}"))

        assert covering in plan(f"SELECT b FROM {table_l} WHERE a = 'x'")
        assert covering in plan(f"SELECT a FROM {table_l} WHERE b = 'x'")
        assert "INDEX" in plan(f"SELECT n FROM {table_b} WHERE \"RID\" = 'x'").upper()
