"""Regular expressions in linear time."""

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_server.errors import BadRequest
from deriva_server.plan.patterns import check_pattern, matcher


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("", "", True),
        ("b", "abc", True),
        ("^b", "abc", False),
        ("c$", "abc", True),
        ("^abc$", "abc\n", False),
        ("a.c", "a\nc", True),
        ("(a|b)+c", "xxabac", True),
        ("^(.*[^0-9.])?0*25([^0-9].*|$)", "x 0025", True),
        ("^(.*[^0-9.])?0*25([^0-9].*|$)", "1.25", False),
        (r"\mfoo\M", "a foo b", True),
        (r"\mfoo\M", "afoo", False),
        (r"\yfoo", "a foo", True),
        (r"\Yoo", "foo", True),
        ("[[:digit:]]{2,3}x", "a12x", True),
        ("[]a]", "]", True),
        ("[^]a]", "]a", False),
        ("[a-c]{2}", "xbc", True),
        (r"\d+\.\d", "1.2", True),
        (r"[\w.-]+@", "a.b-c@d", True),
        ("a{0}b", "b", True),
        ("a{,2}", "a{,2}", True),
        ("x*?y", "xxy", True),
        ("***=a.b", "xa.b", True),
        ("***=a.b", "xacb", False),
        ("(?i)ABC", "xabc", True),
        (r"a\.b\*", "a.b*", True),
        ("(?:ab)*$", "abab", True),
        ("\\x41", "A", True),
    ],
)
def test_matches(pattern, text, found):
    assert matcher(pattern, False)(text) is found


def test_ignores_case():
    assert matcher("n[ä-ö]1", True)("XNÄ1")
    assert not matcher("[^a]", True)("A")
    assert matcher("plain", True)("PLAIN")


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "[a",
        "a**",
        "*a",
        "a{3,1}",
        "a{999}",
        r"(a)\1",
        "(?=a)",
        "[b-a]",
        "[[:nope:]]",
        "\\",
        r"\q",
        "^*",
    ],
)
def test_refuses(pattern):
    with pytest.raises(BadRequest):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){12}$", "(x+x+)+y"])
def test_no_pattern_hangs(pattern):
    text = ("a" if "y" not in pattern else "x") * 30_000 + "b"
    matcher(pattern, False)(text)


def test_too_large_patterns_are_refused():
    with pytest.raises(BadRequest, match="too large"):
        check_pattern("(a{200}){200}")


@given(
    st.text(alphabet="ab|()*+?.[]^$", max_size=10),
    st.text(alphabet="abc", max_size=8),
)
def test_agrees_with_backtracking(pattern, text):
    try:
        found = matcher(pattern, False)(text)
    except BadRequest:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(pattern, re.DOTALL)
    except re.error:
        return
    assert found is (compiled.search(text) is not None)
