"""Words of the field: what has their form, and what is told of what has not."""

import pytest

from deriva_ml import names
from deriva_ml.errors import DerivaMLInvalidVersion, DerivaMLValidationError
from deriva_ml.names import DatasetVersion, VersionPart


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-ABC", True),
        ("3", True),
        ("1-ABC@3-0000-0000", True),
        ("", False),
        ("1-", False),
        ("1 A", False),
        ("1-ABC\n", False),
        (5, False),
    ],
)
def test_rids(text, expected):
    assert names.is_rid(text) is expected


def test_lists():
    assert names.require_list("assets", ("a", "b")) == ["a", "b"]
    assert names.optional_list("assets", None) == []
    assert names.optional_list("assets", {"a"}) == ["a"]
    assert names.one_or_more("assets", "ab") == ["ab"]
    assert names.one_or_more("assets", ["ab"]) == ["ab"]
    assert names.one_or_more("assets", None) == []
    refusals = {
        names.require_list: "assets cannot be {!r}; give a list of RIDs",
        names.optional_list: "assets cannot be {!r}; give a list",
        names.one_or_more: "assets cannot be {!r}; give a list",
    }
    for read, start in refusals.items():
        of = ("RIDs",) if read is names.require_list else ()
        for given, end in (
            (5, ", of one if there is only one."),
            (b"ab", ", of one if there is only one."),
            ({"a": 1}, ", of one if there is only one."),
            ("ab", ", as in assets=['ab']."),
        ):
            if read is names.one_or_more and given == "ab":
                continue
            with pytest.raises(DerivaMLValidationError) as caught:
                read("assets", given, *of)
            assert str(caught.value) == start.format(given) + end


def test_numbers():
    assert (names.require_number("limit", 0), names.require_number("limit", -3)) == (0, -3)
    assert (names.require_number("limit", 0, least=0), names.require_number("limit", 7, 7)) == (0, 7)
    for given in ("3", 3.0, None, True):
        with pytest.raises(DerivaMLValidationError, match=f"^limit must be a whole number, not {given!r}"):
            names.require_number("limit", given)
    for given in (0, False):
        with pytest.raises(DerivaMLValidationError, match=f"a whole number of at least 1, not {given!r}"):
            names.require_number("limit", given, least=1)


def test_names_that_may_have_been_meant():
    assert names.similar("Imagee", ["Image", "Subject", "Image"]) == ["Image"]
    assert names.similar("imag", ["Images of eyes", "Subject"]) == ["Images of eyes"]
    assert names.similar("IMAGE", ["image quality score"]) == ["image quality score"]
    assert names.similar("ima", ["image quality score"]) == ["image quality score"]
    assert names.similar("imagf", ["imag" + "e" * 20, "imax" + "e" * 20]) == ["imag" + "e" * 20]
    many = [f"Image quality of the right eye {letter}" for letter in "fabcde"]
    assert names.similar("Image", many) == sorted(many)[:5]
    assert len(names.similar("Image1", [f"Image{number}" for number in range(10, 20)])) == 5
    assert names.similar("", ["Image"]) == names.similar(5, ["Image"]) == []
    assert names.did_you_mean("Imagee", ["Image", "Images"]) == " Did you mean 'Image' or 'Images'?"
    assert names.did_you_mean("x", ["Image"]) == ""


def test_words_that_are_none_are_refused_with_those_there_are():
    with pytest.raises(
        DerivaMLValidationError, match=r"^'tiny' is not one of 'major', 'minor', 'patch' \(Version"
    ):
        VersionPart("tiny")


def test_versions_are_read_from_what_stands_for_one():
    version = DatasetVersion(1, 2, 3)
    for given in (version, "1.2.3", (1, 2, 3), ["1", "2", "3"], {"major": 1, "minor": 2, "patch": 3}):
        assert DatasetVersion.coerce(given) == version
        assert isinstance(DatasetVersion.coerce(given), DatasetVersion)
    assert DatasetVersion.coerce({"minor": 4}) == DatasetVersion.coerce((0, 4)) == DatasetVersion(0, 4)
    assert DatasetVersion.coerce([5]) == DatasetVersion(5) == DatasetVersion.parse("5.0.0")
    for given in ((), (1, 2, 3, 4), (1, "x"), (None,), 5, None, {1, 2}, {"major": "x"}):
        with pytest.raises(DerivaMLInvalidVersion) as caught:
            DatasetVersion.coerce(given)
        assert caught.value.version == given
        assert str(caught.value).startswith(f"{given!r} is no version of a dataset; it looks like 1.2.0")


def test_the_parts_of_versions():
    version = DatasetVersion("1.2.3.post1.dev4")
    assert version.to_dict() == {"major": 1, "minor": 2, "patch": 3}
    assert (version.patch, version.is_devrelease, repr(version)) == (
        3,
        True,
        "DatasetVersion('1.2.3.post1.dev4')",
    )
    assert [str(version.next_release(part)) for part in ("major", "minor", "patch")] == [
        "2.0.0",
        "1.3.0",
        "1.2.4",
    ]
