import pytest

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.ordering import ordered
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes


@pytest.fixture
def found(ml_session, ml_catalog, fresh):
    """A table and its rows, in an order of their own."""
    columns = [ColumnDefinition("Name"), ColumnDefinition("Size", BuiltinTypes.int4)]
    [table] = ml_session.create_tables([TableDefinition(fresh("Sorted"), columns)], navbar=False)
    given = [{"Name": name, "Size": size} for name, size in (("b", 1), ("a", 1), ("c", None), ("d", 2))]
    return table, rows.insert(ml_catalog, table, given)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        (None, "bacd"),
        (False, "bacd"),
        (True, "dcab"),
        (lambda path: path.Name, "abcd"),
        (lambda path: path.Name.desc, "dcba"),
        (lambda path: (path.Size, path.Name), "abdc"),
    ],
)
def test_in_the_order_that_is_asked_for(ml_catalog, found, sort, names):
    table, all_of_them = found
    assert "".join(row["Name"] for row in ordered(ml_catalog, table, all_of_them, sort)) == names
    some = [row for row in all_of_them if row["Name"] != "a"]
    assert "".join(row["Name"] for row in ordered(ml_catalog, table, some, sort)) == names.replace("a", "")


@pytest.mark.parametrize(
    ("sort", "message"),
    [
        ("RCT", "^sort cannot be 'RCT'; give True for the newest first"),
        (3, "^sort cannot be 3"),
        (lambda path: "Name", "^sort gave 'Name'; let it give columns of the path"),
        (lambda path: [], r"^sort gave \[\]"),
        (lambda row: row["Name"], "^sort failed: .* It is given the path of the table"),
        (lambda path: path.Nonsense, "^sort failed: .*Nonsense.* It is given the path of the table"),
    ],
)
def test_what_gives_no_order(ml_catalog, found, sort, message):
    with pytest.raises(DerivaMLValidationError, match=message):
        ordered(ml_catalog, *found, sort)
