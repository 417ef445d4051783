import pytest

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model.types import (
    ALIASES,
    SYSTEM_TYPES,
    TYPES,
    array_of,
    is_serial,
    type_document,
    type_from_document,
    type_named,
)

READ_ONLY = {"oid", "tstzrange", "tsvector"}


@pytest.mark.parametrize("name", sorted(TYPES.keys() - READ_ONLY))
def test_documents_round_trip(name):
    type_ = TYPES[name]
    assert type_from_document(type_document(type_)) == type_
    assert type_from_document({"typename": name}) == type_
    if not is_serial(type_):
        assert type_from_document(type_document(array_of(type_))) == array_of(type_)


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_aliases_give_the_canonical_name(alias):
    assert type_from_document({"typename": alias}).name == ALIASES[alias]


def test_domains_and_arrays_are_spelled_out():
    assert type_document(TYPES["ermrest_rct"]) == {
        "typename": "ermrest_rct",
        "is_domain": True,
        "base_type": {"typename": "timestamptz"},
    }
    assert type_document(array_of(TYPES["markdown"])) == {
        "typename": "markdown[]",
        "is_array": True,
        "base_type": {"typename": "markdown", "is_domain": True, "base_type": {"typename": "text"}},
    }


def test_array_names_come_from_their_elements():
    document = {"typename": "whatever", "is_array": True, "base_type": {"typename": "int"}}
    assert type_from_document(document).name == "int4[]"
    assert type_named("text[]") == array_of(TYPES["text"])


def test_scalar_sees_through_domains_and_arrays():
    assert array_of(TYPES["ermrest_curie"]).scalar == "text"
    assert {TYPES[name].scalar for name in SYSTEM_TYPES.values()} == {"text", "timestamptz"}


@pytest.mark.parametrize("name", [*sorted(READ_ONLY), "nosuchtype", "text[]x"])
def test_unusable_types_conflict(name):
    with pytest.raises(Conflict, match=name.replace("[", r"\[").replace("]", r"\]")):
        type_from_document({"typename": name})


@pytest.mark.parametrize(
    "document", [None, "text", [], {}, {"typename": 5}, {"is_array": True, "typename": "text[]"}]
)
def test_malformed_documents_are_bad_requests(document):
    with pytest.raises(BadRequest):
        type_from_document(document)


def test_arrays_of_arrays_conflict():
    inner = {"typename": "text[]", "is_array": True, "base_type": {"typename": "text"}}
    with pytest.raises(Conflict):
        type_from_document({"typename": "text[][]", "is_array": True, "base_type": inner})


def test_serials():
    assert [name for name in TYPES if is_serial(TYPES[name])] == ["serial2", "serial4", "serial8"]
