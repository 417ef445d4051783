"""The URL language: what parses prints itself back, and what does not says where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_server.errors import BadRequest
from deriva_server.grammar.nodes import (
    And,
    Bin,
    Call,
    ColumnLink,
    Comparison,
    DataPath,
    Group,
    Item,
    Not,
    Null,
    Or,
    Path,
    QName,
    Reset,
    SortKey,
    TableLink,
    Where,
)
from deriva_server.grammar.parse import parse_data_path
from deriva_server.operators import OPERATORS

CANONICAL = [
    "entity/S:T",
    "entity/A:=S:T/x=any(1,2)/B:=left(A:c,A:d)=(S:T:c,S:T:d)/$A/!(a::null::;b::gt::3)&c=@sort(RID::desc::,x)",
    "entity/T/(a,b)/(S:T:c)@sort(a)@before(1)@after(::null::)",
    "attribute/M:=S:T/c:=:M:RID,*,M:*,k:=bin(x;10;0;1.5)",
    "attributegroup/S:T/k1,b:=bin(A:c;10;0;100);n:=cnt_d(A:c),t:=tcrs(A:RID)@sort(n::desc::,k1)@after(5,)",
    "aggregate/S:T/x::ciregexp::all(a,b)/n:=cnt(*),0:=min(c)",
    "entity/S:T/(a=1&b=2);(a=3)",
    "entity/%2F:%2B/a%3Ab=c%20d",
    "entity/any:left/null=null/left(a)=(S:any:desc)",
]


@pytest.mark.parametrize("text", CANONICAL)
def test_prints_itself_back(text):
    assert str(parse_data_path(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("entity", "names no table"),
        ("entity/", "a name"),
        ("entity/S:T/", "a name"),
        ("attribute/S:T", "lacks"),
        ("entity/S:T/a+b=1", "'\\+'"),
        ("entity/S:T/a=[1]", "escape it"),
        ("entity/S:T/a=%FF", "UTF-8"),
        ("entity/S:T/a=%00", "U\\+0000 .%00. may not"),
        ("entity/S:T/a=(1,2)", "the end"),
        ("entity/S:T/a=some(1,2)", "quantifier"),
        ("entity/S:T/a::GT::1", "operator"),
        ("entity/S:T/a::(1)", "Expected an operator, found '\\('"),
        ("entity/S:T/$a:b", "alias"),
        ("entity/S:T@after(1)", "@sort"),
        ("entity/S:T@sort(a)@after(1,2)", "one value"),
        ("entity/S:T@sort(:)", "Expected a sort key, found ':' at position 16 of 'entity/S:T@sort"),
        ("entity/S:T@sort(a:::)", "Expected desc, found ':'"),
        ("entity/S:T@sort(a)@after(:::)", "Expected null, found ':'"),
        ("entity/S:T@sort(a)@after(::nil::)", "^A page value is a string, nothing, or ::null::"),
        ("entity/S:T@sort(a)x", "Expected the end, found 'x' at position 18 of"),
        ("entity/S:T@sort(a)@sort(b)", "repeated"),
        ("entity/S:T@sort(a::asc::)", "::desc::"),
        ("attribute/S:T/n:=cnt(a)", "bin"),
        ("aggregate/S:T/n:=CNT(a)", "Unknown function"),
        ("entity/S:T/" + "(" * 150 + "a=1" + ")" * 150, "^The predicate is nested"),
        ("nonsense/S:T", "does not start"),
    ],
)
def test_refuses(text, why):
    with pytest.raises(BadRequest, match=why):
        parse_data_path(text)


def test_many_parentheses_side_by_side_are_not_deep():
    text = "entity/S:T/" + "&".join(["((a=1))"] * 101)
    assert str(parse_data_path(text)) == text
    for depth in (100, 101):
        text = "entity/S:T/((a=1))&" + "(" * depth + "a=1" + ")" * depth
        if depth == 100:
            assert str(parse_data_path(text)) == text
        else:
            with pytest.raises(BadRequest, match="nested"):
                parse_data_path(text)


def test_decodes_after_splitting():
    path = parse_data_path("entity/S:T/a=x%2Fy%3D%2A")
    assert path.path.steps == (Where(Comparison(QName(("a",)), "=", ("x/y=*",))),)


def test_keywords_may_be_written_in_any_case():
    assert parse_data_path("ENTITY/S:T/a=ANY(1)/a::NULL::@SORT(a::DESC::)") == parse_data_path(
        "entity/S:T/a=any(1)/a::null::@sort(a::desc::)"
    )


def test_parentheses_hold_links_or_filters():
    steps = parse_data_path("entity/T/(a,S:b:c)/(a=1)/(a=1);(b=2)/(a)=(T:b)").path.steps
    assert [type(step) for step in steps] == [ColumnLink, Where, Where, ColumnLink]


LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
WORDS = st.text(LETTERS, min_size=1, max_size=6)
QNAMES = st.builds(QName, st.lists(WORDS, min_size=1, max_size=3).map(tuple), st.booleans())
VALUES = st.text(LETTERS, max_size=6)
COMPARISONS = st.one_of(
    st.builds(Null, QNAMES),
    st.builds(
        Comparison,
        QNAMES,
        st.sampled_from(sorted(OPERATORS)),
        st.tuples(VALUES),
        st.none(),
    ),
    st.builds(
        Comparison,
        QNAMES,
        st.just("="),
        st.lists(VALUES, min_size=1, max_size=3).map(tuple),
        st.sampled_from(["any", "all"]),
    ),
)


def _nested(inner):
    predicate = COMPARISONS | st.builds(Group, inner)
    negatable = predicate | st.builds(Not, predicate)
    conjunction = negatable | st.builds(And, st.lists(negatable, min_size=2, max_size=3).map(tuple))
    return conjunction | st.builds(Or, st.lists(conjunction, min_size=2, max_size=3).map(tuple))


FILTERS = st.recursive(COMPARISONS, _nested, max_leaves=8)
NAME_LISTS = st.lists(QNAMES, min_size=1, max_size=3).map(tuple)
ALIASES = st.none() | WORDS
STEPS = st.one_of(
    st.builds(TableLink, QNAMES, ALIASES),
    st.builds(
        ColumnLink,
        NAME_LISTS,
        st.none() | NAME_LISTS,
        st.sampled_from([None, "left", "right", "full"]),
        ALIASES,
    ),
    st.builds(Reset, WORDS),
    st.builds(Where, FILTERS),
)
PATHS = st.builds(
    Path, QNAMES, st.lists(WORDS, max_size=2).map(tuple), st.lists(STEPS, max_size=4).map(tuple)
)
BINS = st.builds(Bin, QNAMES, VALUES, VALUES, VALUES)
CALLS = st.builds(
    Call, st.sampled_from(["array", "array_d", "avg", "sum", "cnt", "min", "trs", "tcrs"]), QNAMES
)
COLUMNS = st.lists(st.builds(Item, QNAMES | BINS, ALIASES), min_size=1, max_size=3).map(tuple)
LEAVES = st.lists(st.builds(Item, QNAMES | BINS | CALLS, ALIASES), min_size=1, max_size=3).map(tuple)


@st.composite
def data_paths(draw):
    api = draw(st.sampled_from(["entity", "attribute", "attributegroup", "aggregate"]))
    columns = draw(COLUMNS) if api.startswith("attribute") else ()
    leaves = (
        draw(LEAVES) if api == "aggregate" else draw(LEAVES | st.just(())) if api == "attributegroup" else ()
    )
    sort = draw(st.lists(st.builds(SortKey, WORDS, st.booleans()), max_size=2).map(tuple))
    page = st.none() | st.tuples(*(st.none() | VALUES for _ in sort)) if sort else st.none()
    return DataPath(api, draw(PATHS), columns, leaves, sort, draw(page), draw(page))


@given(data_paths())
def test_every_tree_is_what_its_text_means(path):
    assert parse_data_path(str(path)) == path


@given(st.text(alphabet="entiyabr/:=()@,;&!$.*%2F+x1", max_size=60))
def test_no_text_breaks_the_parser(text):
    try:
        path = parse_data_path(text)
    except BadRequest:
        return
    assert parse_data_path(str(path)) == path
