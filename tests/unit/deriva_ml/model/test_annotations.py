"""What annotations are made of: only what was given, refused where Chaise would not know what to show."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
from deriva.core import annotation

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model import (
    ColumnDisplay,
    ColumnDisplayOptions,
    Context,
    Display,
    Facet,
    FacetList,
    FacetRange,
    InboundFK,
    NameStyle,
    OutboundFK,
    PreFormat,
    PseudoColumn,
    PseudoColumnDisplay,
    SortKey,
    TableDisplay,
    TableDisplayOptions,
    VisibleColumns,
    VisibleForeignKeys,
    tags,
)
from deriva_ml.model.annotations import CONTEXTS

WHOLE = PseudoColumn(
    source=[InboundFK("lab", "Scan_Of_fkey"), OutboundFK("lab", "Scan_By_fkey"), "Name"],
    markdown_name="People",
    comment=False,
    entity=False,
    aggregate="array_d",
    display=PseudoColumnDisplay(
        markdown_pattern="{{{$self}}}",
        template_engine="handlebars",
        wait_for=["other"],
        column_order=["Name", SortKey("RCT", descending=True)],
        array_ux_mode="csv",
        show_foreign_key_link=True,
    ),
    array_options={"order": [SortKey("Name")], "max_length": 5},
)


def test_a_part_has_what_was_given_only() -> None:
    assert Display().to_dict() == {}
    assert PseudoColumn("Name", entity=False, comment=False).to_dict() == {
        "source": "Name",
        "entity": False,
        "comment": False,
    }
    assert WHOLE.to_dict()["source"] == [
        {"inbound": ["lab", "Scan_Of_fkey"]},
        {"outbound": ["lab", "Scan_By_fkey"]},
        "Name",
    ]
    assert WHOLE.to_dict()["array_options"] == {"order": [{"column": "Name"}], "max_length": 5}


@pytest.mark.parametrize(
    "made",
    [
        Display(
            name="Scans",
            comment="Of eyes",
            name_style=NameStyle(underline_space=True, title_case=False, markdown=False),
            show_null={"detailed": True, "compact": '"none"'},
            show_foreign_key_link={"*": False},
        ),
        VisibleColumns(
            {
                "*": ["Name", ("lab", "Scan_Of_fkey"), WHOLE, PseudoColumn(sourcekey="people")],
                Context.compact_brief: "*",
                "filter": FacetList(
                    [
                        Facet(
                            "Name",
                            markdown_name="N",
                            open=True,
                            ux_mode="choices",
                            choices=["a", None],
                            hide_null_choice=True,
                            hide_not_null_choice=False,
                        ),
                        Facet(
                            [OutboundFK("lab", "k"), "Age"],
                            ranges=[FacetRange(1, 5, max_exclusive=True)],
                            n_bins=3,
                        ),
                        Facet(sourcekey="people", not_null=True, bar_plot=False),
                    ]
                ),
            }
        ),
        VisibleForeignKeys(
            {"detailed": [("lab", "k"), PseudoColumn([InboundFK("lab", "k"), "RID"])], "*": "detailed"}
        ),
        TableDisplay(
            {
                "row_name/title": TableDisplayOptions(
                    row_markdown_pattern="{{{Name}}}", template_engine="mustache"
                ),
                "compact": TableDisplayOptions(
                    row_order=["Name"],
                    page_size=10,
                    collapse_toc_panel=True,
                    hide_column_headers=True,
                    page_markdown_pattern="",
                    separator_markdown=",",
                    prefix_markdown="(",
                    suffix_markdown=")",
                ),
                "detailed": "compact",
            }
        ),
        ColumnDisplay(
            {
                "*": ColumnDisplayOptions(
                    pre_format=PreFormat("%d", "yes", "no"),
                    markdown_pattern="x",
                    template_engine="handlebars",
                    column_order=False,
                ),
                "entry/create": "*",
            }
        ),
    ],
    ids=lambda made: type(made).__name__,
)
def test_deriva_py_knows_all_that_can_be_written(made: Any) -> None:
    holder = SimpleNamespace(annotations={made.TAG: made.to_dict()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert annotation.validate(holder, made.TAG, validate_model_names=False) == []


@pytest.mark.parametrize("tag", CONTEXTS)
def test_deriva_py_knows_all_contexts(tag: str) -> None:
    values: dict[str, Any] = {context: "*" for context in CONTEXTS[tag] if context != Context.filter}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = annotation.validate(
            SimpleNamespace(annotations={tag: values}), tag, validate_model_names=False
        )
    assert found == []


def test_tags_are_those_of_deriva_py() -> None:
    from deriva.core import tag

    assert (tag.column_display, tag.source_definitions) == (tags.COLUMN_DISPLAY, tags.SOURCE_DEFINITIONS)


def test_a_context_is_replaced_in_a_copy() -> None:
    first = VisibleColumns({"*": ["A"]})
    second = first.with_context("detailed", ["B"]).with_context("*", ["C"])
    assert (first.to_dict(), second.to_dict()) == ({"*": ["A"]}, {"*": ["C"], "detailed": ["B"]})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Display(name="a", markdown_name="b"), "both a name"),
        (lambda: PseudoColumn(), "shows nothing: give source or sourcekey; or markdown_name"),
        (lambda: PseudoColumn(markdown_name="a"), "shows nothing"),
        (lambda: PseudoColumn("a", "b"), "both source"),
        (lambda: Facet(), "A facet shows nothing: give source or sourcekey[.]$"),
        (lambda: FacetRange(), "neither min nor max"),
        (lambda: VisibleColumns({"row_name": []}), "no context of visible-columns"),
        (lambda: VisibleForeignKeys({"entry": []}), "no context of visible-foreign-keys"),
        (lambda: TableDisplay({"detail": {}}), "Did you mean 'detailed'"),
        (lambda: ColumnDisplay({"*": {}}).with_context("filter", {}), "no context of column-display"),
    ],
)
def test_what_shows_nothing_is_refused(make: Any, message: str) -> None:
    with pytest.raises(DerivaMLValidationError, match=message):
        make()


def test_a_name_and_a_template_are_a_column() -> None:
    made = PseudoColumn(markdown_name="Link", display=PseudoColumnDisplay(markdown_pattern="[a](b)"))
    assert made.to_dict() == {"markdown_name": "Link", "display": {"markdown_pattern": "[a](b)"}}
