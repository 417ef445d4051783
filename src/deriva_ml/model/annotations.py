"""What can be written into display annotations, in the terms of Chaise's documentation of them; plain values.

Each class makes one annotation, or a part of one, with `to_dict`. Whatever is left out is left to Chaise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.names import did_you_mean

TemplateEngine = Literal["handlebars", "mustache"]


class Context(StrEnum):
    """Where Chaise shows something; a narrower context falls back on the wider one, and all on ``*``."""

    default = "*"
    compact = "compact"
    compact_brief = "compact/brief"
    compact_brief_inline = "compact/brief/inline"
    compact_select = "compact/select"
    detailed = "detailed"
    entry = "entry"
    entry_create = "entry/create"
    entry_edit = "entry/edit"
    export = "export"
    filter = "filter"
    row_name = "row_name"
    row_name_title = "row_name/title"
    row_name_compact = "row_name/compact"
    row_name_detailed = "row_name/detailed"


_LISTS = [context for context in Context if context.split("/")[0] in ("*", "compact", "detailed")]
_ENTRIES = [Context.entry, Context.entry_create, Context.entry_edit]
CONTEXTS: dict[str, list[Context]] = {
    tags.VISIBLE_COLUMNS: [*_LISTS, *_ENTRIES, Context.export, Context.filter],
    tags.VISIBLE_FOREIGN_KEYS: [Context.default, Context.detailed],
    tags.TABLE_DISPLAY: [*_LISTS, *(context for context in Context if context.startswith("row_name"))],
    tags.COLUMN_DISPLAY: [*_LISTS, *_ENTRIES],
}
"""Annotations that say something per context, with the contexts that they may name."""


def require_context(tag: str, context: Any) -> str:
    """Check a context of an annotation.

    Raises
    ------
    DerivaMLValidationError
        If Chaise does not know it there.
    """
    known = [str(one) for one in CONTEXTS[tag]]
    if not isinstance(context, str) or str(context) not in known:
        raise DerivaMLValidationError(
            f"{context!r} is no context of {name_of(tag)}; there are {', '.join(known)}."
            f"{did_you_mean(context, known)}"
        )
    return str(context)


def name_of(tag: str) -> str:
    """How people call the annotation of a tag: ``visible-columns``."""
    return tag.rpartition(":")[2]


def plain(value: Any) -> Any:
    """The JSON that a value stands for, in which objects of this module may be at any depth; a copy."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Part:
    """A part of an annotation, whose keys are its fields."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, without what was left out."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: plain(value) for name, value in given.items() if value is not None}


# Names and values ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NameStyle(Part):
    """How names in the model become names on a page.

    Parameters
    ----------
    underline_space : bool, optional
        Whether an underscore is shown as a space.
    title_case : bool, optional
    markdown : bool, optional
        Whether names are Markdown.
    """

    underline_space: bool | None = None
    title_case: bool | None = None
    markdown: bool | None = None


@dataclass(frozen=True)
class Display(Part):
    """How a table or column is called, and what is shown of it everywhere.

    Parameters
    ----------
    name, markdown_name : str, optional
        The name on the page, as plain text or as Markdown; one of them.
    comment : str, optional
        What the tooltip says in place of the comment in the model.
    name_style : NameStyle, optional
        For this and what is in it.
    show_null : dict, optional
        Context to whether a missing value is shown, or to the text shown for it, in double quotes.
    show_foreign_key_link : dict, optional
        Context to whether a reference is shown as a link.

    Raises
    ------
    DerivaMLValidationError
        If both names are given.

    Examples
    --------
    >>> Display(name="Subjects").to_dict()
    {'name': 'Subjects'}
    """

    TAG: ClassVar[str] = tags.DISPLAY

    name: str | None = None
    markdown_name: str | None = None
    comment: str | None = None
    name_style: NameStyle | None = None
    show_null: Mapping[str, bool | str] | None = None
    show_foreign_key_link: Mapping[str, bool] | None = None

    def __post_init__(self) -> None:
        if self.name is not None and self.markdown_name is not None:
            raise DerivaMLValidationError(
                f"Display has both a name ({self.name!r}) and a markdown_name ({self.markdown_name!r}); give one."
            )


@dataclass(frozen=True)
class PreFormat(Part):
    """How a value becomes text before a template sees it.

    Parameters
    ----------
    format : str, optional
        As of printf: ``%.3f``.
    bool_true_value, bool_false_value : str, optional
    """

    format: str | None = None
    bool_true_value: str | None = None
    bool_false_value: str | None = None


@dataclass(frozen=True)
class SortKey(Part):
    """A column to sort by.

    Parameters
    ----------
    column : str
    descending : bool, optional
    """

    column: str
    descending: bool | None = None


Order = Sequence[str | SortKey]

# Annotations that say something per context --------------------------------------------------------------------------


@dataclass(frozen=True)
class PerContext:
    """An annotation that says something per context; what it may say is told by those made of this."""

    contexts: Mapping[str, Any] = field(default_factory=dict)

    TAG: ClassVar[str]

    def __post_init__(self) -> None:
        for context in self.contexts:
            require_context(self.TAG, context)

    def with_context(self, context: str, shown: Any) -> Self:
        """The same with something else in one context."""
        return type(self)({**self.contexts, context: shown})

    def to_dict(self) -> dict[str, Any]:
        """The annotation."""
        found: dict[str, Any] = plain(self.contexts)
        return found


@dataclass(frozen=True)
class TableDisplayOptions(Part):
    """How rows of a table are shown in a context.

    Parameters
    ----------
    row_order : sequence of str or SortKey, optional
    page_size : int, optional
    collapse_toc_panel, hide_column_headers : bool, optional
    page_markdown_pattern, row_markdown_pattern : str, optional
        Template of a page of rows, or of each row.
    separator_markdown, prefix_markdown, suffix_markdown : str, optional
        Between, before and after rows that are shown by a template.
    template_engine : {"handlebars", "mustache"}, optional
    """

    row_order: Order | None = None
    page_size: int | None = None
    collapse_toc_panel: bool | None = None
    hide_column_headers: bool | None = None
    page_markdown_pattern: str | None = None
    row_markdown_pattern: str | None = None
    separator_markdown: str | None = None
    prefix_markdown: str | None = None
    suffix_markdown: str | None = None
    template_engine: TemplateEngine | None = None


@dataclass(frozen=True)
class TableDisplay(PerContext):
    """How rows of a table are named, sorted and shown.

    Parameters
    ----------
    contexts : dict
        Context to `TableDisplayOptions`, or to the name of another context; ``row_name`` is how a row is called.

    Examples
    --------
    >>> TableDisplay({"row_name": TableDisplayOptions(row_markdown_pattern="{{{Name}}}")}).to_dict()
    {'row_name': {'row_markdown_pattern': '{{{Name}}}'}}
    """

    TAG: ClassVar[str] = tags.TABLE_DISPLAY


@dataclass(frozen=True)
class ColumnDisplayOptions(Part):
    """How the values of a column are shown in a context.

    Parameters
    ----------
    pre_format : PreFormat, optional
    markdown_pattern : str, optional
        Template of what is shown.
    template_engine : {"handlebars", "mustache"}, optional
    column_order : sequence of str or SortKey, or False, optional
        What the column is sorted by; False for not at all.
    """

    pre_format: PreFormat | None = None
    markdown_pattern: str | None = None
    template_engine: TemplateEngine | None = None
    column_order: Order | Literal[False] | None = None


@dataclass(frozen=True)
class ColumnDisplay(PerContext):
    """How the values of a column are shown.

    Parameters
    ----------
    contexts : dict
        Context to `ColumnDisplayOptions`, or to the name of another context.

    Examples
    --------
    >>> ColumnDisplay({"*": ColumnDisplayOptions(pre_format=PreFormat("%.2f"))}).to_dict()
    {'*': {'pre_format': {'format': '%.2f'}}}
    """

    TAG: ClassVar[str] = tags.COLUMN_DISPLAY
