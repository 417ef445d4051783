import pytest

from deriva_ml import vocabulary
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.model.build import Reference, association_table
from deriva_ml.model.define import ColumnDefinition, TableDefinition


@pytest.fixture
def colors(ml_session, fresh):
    return vocabulary.create_vocabulary(ml_session, fresh("Color"), "Colors", update_navbar=False)


def test_add_and_look_up(ml_session, colors):
    term = vocabulary.add_term(ml_session, colors, "Red", "Like blood", synonyms=["Crimson", "Scarlet"])
    assert (term.name, term.description, term.synonyms) == ("Red", "Like blood", ("Crimson", "Scarlet"))
    assert term.id == f"lab:{term.rid}" and term.uri == f"/id/{term.rid}"
    assert vocabulary.lookup_term(ml_session, colors.name, "Scarlet").rid == term.rid
    assert [found.name for found in vocabulary.list_terms(ml_session, colors)] == ["Red"]


def test_twice(ml_session, colors):
    first = vocabulary.add_term(ml_session, colors, "Red", "one")
    again = vocabulary.add_term(ml_session, colors, "Red", "two")
    assert (again.rid, again.description) == (first.rid, "one")
    with pytest.raises(DerivaMLInvalidTerm, match="already"):
        vocabulary.add_term(ml_session, colors, "Red", "x", exists_ok=False)


def test_terms_of_others_are_seen(ml_session, colors):
    vocabulary.add_term(ml_session, colors, "Red", "one")
    rows.insert(ml_session.connection, colors, [{"Name": "Blue", "Description": "two", "Synonyms": None}])
    assert vocabulary.lookup_term(ml_session, colors, "Blue").synonyms == ()


def test_unknown(ml_session, colors):
    with pytest.raises(DerivaMLInvalidTerm) as caught:
        vocabulary.lookup_term(ml_session, colors, "Green")
    assert (caught.value.vocabulary, caught.value.term) == (colors.name, "Green")
    with pytest.raises(DerivaMLTableTypeError):
        vocabulary.lookup_term(ml_session, "Execution", "Green")
    with pytest.raises(DerivaMLInvalidTerm, match="Nothing"):
        vocabulary.require_terms(ml_session, "Asset_Type", ["Model_File", "Nothing"])


def test_change(ml_session, colors):
    term = vocabulary.add_term(ml_session, colors, "Red", "one")
    term.description = "two"
    term.synonyms = ["Crimson"]
    found = vocabulary.lookup_term(ml_session, colors, "Crimson")
    assert (found.description, found.synonyms) == ("two", ("Crimson",))
    with pytest.raises(DerivaMLValidationError):
        term.name = "Blue"


def test_delete(ml_session, colors, fresh):
    thing = TableDefinition(name=fresh("Thing"), columns=[ColumnDefinition("Name")])
    link = association_table([Reference("lab", thing.name), Reference("lab", colors.name, "Name")])
    things, links = ml_session.create_tables([thing, link], navbar=False)
    red, blue = (vocabulary.add_term(ml_session, colors, name, "x") for name in ("Red", "Blue"))
    (row,) = rows.insert(ml_session.connection, things, [{"Name": "x"}])
    rows.insert(ml_session.connection, links, [{things.name: row["RID"], colors.name: "Red"}])
    with pytest.raises(DerivaMLException, match="used by 1 rows"):
        red.delete()
    blue.delete()
    assert [term.name for term in vocabulary.list_terms(ml_session, colors)] == ["Red"]


def test_several(ml_session, colors):
    vocabulary.add_terms(ml_session, colors, {"Red": "one", "Blue": "two"})
    vocabulary.add_terms(ml_session, colors, {"Red": "x", "Green": "three"})
    found = {term.name: term.description for term in vocabulary.list_terms(ml_session, colors)}
    assert found == {"Red": "one", "Blue": "two", "Green": "three"}


def test_existing_table(ml_session, colors):
    with pytest.raises(DerivaMLConflictError, match="already exists"):
        vocabulary.create_vocabulary(ml_session, colors.name)
