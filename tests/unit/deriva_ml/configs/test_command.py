"""Words of a command line, and what is said of those that make no sense."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.configs.command import quoted, split


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_quoted_values_are_read_back(value):
    [override] = OverridesParser.create().parse_overrides([f"description={quoted(value)}"])
    assert str(override.value()) == value


@pytest.mark.parametrize(
    ("line", "overrides", "flags", "bare", "unknown"),
    [
        ("a=1 +b=2 ++c=3 ~d", ["a=1", "+b=2", "++c=3", "~d"], [], [], []),
        ("--cfg job a=1", ["a=1"], ["--cfg", "job"], [], []),
        ("--info a=1 --cfg", ["a=1"], ["--info", "all", "--cfg", "job"], [], []),
        ("--info config quick", [], ["--info", "config"], ["quick"], []),
        (
            "--cfg=job --resolve -p model_config",
            [],
            ["--cfg", "job", "--resolve", "-p", "model_config"],
            [],
            [],
        ),
        ("--hots=x quick", [], [], ["quick"], ["--hots=x"]),
    ],
)
def test_words_are_told_apart(line, overrides, flags, bare, unknown):
    words = split(line.split())
    assert (words.overrides, words.flags, words.bare, words.unknown) == (overrides, flags, bare, unknown)


def test_a_flag_that_shows_nothing_says_what_it_shows():
    said = split(["--cfg=jobs", "--info", "nothing"]).complaint()
    assert said.splitlines() == [
        "--cfg takes one of job, hydra, all, not 'jobs'.",
        "--info takes one of all, config, defaults, defaults-tree, plugins, searchpath, not 'nothing'.",
    ]


def test_a_mistyped_option_is_named():
    assert split(["--hots=x"]).complaint() == "There is no option --hots. Did you mean --host?"
