import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.ermrest.rows import escaped, filters, path_of
from deriva_ml.errors import DerivaMLValidationError


@pytest.mark.parametrize(
    "where, parts",
    [
        (None, [""]),
        ({}, [""]),
        ({"A": []}, []),
        ({"A": ["x"]}, ["/A=x"]),
        ({"A": ["y", "x", "y"]}, ["/A=any(x,y)"]),
        ({"A": [None]}, ["/A::null::"]),
        ({"A": [None, "x"]}, ["/(A=x;A::null::)"]),
        ({"A b": ["1/2"], "C": [True]}, ["/A%20b=1%2F2/C=true"]),
        ({"A": [3]}, ["/A=3"]),
        ({"A": [], "B": ["x"]}, []),
    ],
)
def test_conditions(where, parts):
    assert filters(where) == parts


def test_text_is_no_collection():
    with pytest.raises(DerivaMLValidationError, match="collection"):
        filters({"RID": "1-ABC"})


@given(st.sets(st.text(alphabet=st.characters(blacklist_categories=("Cs",))), max_size=3000))
def test_urls_stay_short_and_hold_every_value_once(values):
    parts = filters({"A": values})
    assert all(len(part) < 6100 + 9 * max((len(value) for value in values), default=0) for part in parts)
    found = [
        value
        for part in parts
        for value in part.removeprefix("/A=").removeprefix("any(").removesuffix(")").split(",")
    ]
    assert sorted(found) == sorted(escaped(value) for value in values)


def test_paths():
    assert path_of(("deriva-ml", "Execution Asset")) == "deriva-ml:Execution%20Asset"
