"""What can be written into annotations that say which columns, related tables and facets are visible; plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.model.annotations import Order, Part, PerContext, TemplateEngine, plain

Aggregate = Literal["min", "max", "cnt", "cnt_d", "array", "array_d"]
ArrayMode = Literal["raw", "csv", "olist", "ulist"]


@dataclass(frozen=True)
class OutboundFK:
    """A step of a path along a foreign key of the table that the path has come to.

    Parameters
    ----------
    schema, constraint : str
        Name of the foreign key.
    """

    schema: str
    constraint: str
    direction: ClassVar[str] = "outbound"

    def to_dict(self) -> dict[str, Any]:
        """The step in a path."""
        return {self.direction: [self.schema, self.constraint]}


@dataclass(frozen=True)
class InboundFK(OutboundFK):
    """A step of a path against a foreign key, to the table that has it; parameters as of `OutboundFK`."""

    direction: ClassVar[str] = "inbound"


@dataclass(frozen=True)
class PseudoColumnDisplay(Part):
    """How the value of a pseudo-column is shown.

    Parameters
    ----------
    markdown_pattern : str, optional
        Template of what is shown.
    template_engine : {"handlebars", "mustache"}, optional
    wait_for : sequence of str, optional
        Source keys whose values the template uses.
    column_order : sequence of str or SortKey, or False, optional
        What the column is sorted by; False for not at all.
    array_ux_mode : {"raw", "csv", "olist", "ulist"}, optional
        How several values are shown.
    show_foreign_key_link : bool, optional
    """

    markdown_pattern: str | None = None
    template_engine: TemplateEngine | None = None
    wait_for: Sequence[str] | None = None
    column_order: Order | Literal[False] | None = None
    array_ux_mode: ArrayMode | None = None
    show_foreign_key_link: bool | None = None


@dataclass(frozen=True)
class PseudoColumn(Part):
    """A column on the page that is none of the table: what a path leads to, or what a template makes.

    Parameters
    ----------
    source : str or sequence, optional
        A column, or a path that ends in one: `OutboundFK` and `InboundFK` steps, then its name.
    sourcekey : str, optional
        A source that the table's source definitions name, instead.
    markdown_name : str, optional
    comment : str or False, optional
    entity : bool, optional
        Whether the row at the end of the path is shown, not the value alone.
    aggregate : {"min", "max", "cnt", "cnt_d", "array", "array_d"}, optional
        What one value is made of several.
    self_link : bool, optional
        Whether a key links to its own row.
    display : PseudoColumnDisplay, optional
    array_options : dict, optional
        ``order`` and ``max_length`` of several values.

    Raises
    ------
    DerivaMLValidationError
        If it has both sources, or neither one nor a name and a template.

    Examples
    --------
    >>> PseudoColumn([OutboundFK("lab", "Image_Subject_fkey"), "Age"], markdown_name="Age of subject").to_dict()
    {'source': [{'outbound': ['lab', 'Image_Subject_fkey']}, 'Age'], 'markdown_name': 'Age of subject'}
    """

    source: str | Sequence[Any] | None = None
    sourcekey: str | None = None
    markdown_name: str | None = None
    comment: str | Literal[False] | None = None
    entity: bool | None = None
    aggregate: Aggregate | None = None
    self_link: bool | None = None
    display: PseudoColumnDisplay | None = None
    array_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        require_source(self.to_dict(), "A pseudo-column")


@dataclass(frozen=True)
class FacetRange(Part):
    """A range that a facet begins with.

    Parameters
    ----------
    min, max : number or str, optional
        One of them at least.
    min_exclusive, max_exclusive : bool, optional
    """

    min: float | str | None = None
    max: float | str | None = None
    min_exclusive: bool | None = None
    max_exclusive: bool | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise DerivaMLValidationError("A range of a facet has neither min nor max; give one.")


@dataclass(frozen=True)
class Facet(Part):
    """A way to narrow down the rows on a page.

    Parameters
    ----------
    source, sourcekey, markdown_name, comment, entity
        As of `PseudoColumn`.
    open : bool, optional
        Whether it is unfolded at first.
    ux_mode : {"choices", "ranges", "check_presence"}, optional
    bar_plot : bool or dict, optional
    choices : sequence, optional
        Values that are chosen at first.
    ranges : sequence of FacetRange, optional
        Ranges that are chosen at first.
    not_null : bool, optional
    hide_null_choice, hide_not_null_choice : bool, optional
    n_bins : int, optional

    Raises
    ------
    DerivaMLValidationError
        If it has both sources, or none.
    """

    source: str | Sequence[Any] | None = None
    sourcekey: str | None = None
    markdown_name: str | None = None
    comment: str | None = None
    entity: bool | None = None
    open: bool | None = None
    ux_mode: Literal["choices", "ranges", "check_presence"] | None = None
    bar_plot: bool | Mapping[str, Any] | None = None
    choices: Sequence[str | float | bool | None] | None = None
    ranges: Sequence[FacetRange] | None = None
    not_null: bool | None = None
    hide_null_choice: bool | None = None
    hide_not_null_choice: bool | None = None
    n_bins: int | None = None

    def __post_init__(self) -> None:
        require_source(self.to_dict(), "A facet", virtual=False)


def require_source(shown: Mapping[str, Any], what: str, virtual: bool = True) -> None:
    """Check that what is shown has a source, and one only.

    Parameters
    ----------
    shown : mapping
        A pseudo-column or facet.
    what : str
        How to call it in a message.
    virtual : bool
        Whether a name and a template do as well.

    Raises
    ------
    DerivaMLValidationError
        If it has both sources, or none.
    """
    if "source" in shown and "sourcekey" in shown:
        raise DerivaMLValidationError(
            f"{what} has both source ({shown['source']!r}) and sourcekey ({shown['sourcekey']!r}); give one."
        )
    made = virtual and "markdown_name" in shown and "markdown_pattern" in (shown.get("display") or {})
    if "source" not in shown and "sourcekey" not in shown and not made:
        others = "; or markdown_name, and markdown_pattern in its display" if virtual else ""
        raise DerivaMLValidationError(f"{what} shows nothing: give source or sourcekey{others}.")


@dataclass(frozen=True)
class FacetList:
    """All facets of a table, for the context ``filter``.

    Parameters
    ----------
    facets : sequence of Facet or dict
    """

    facets: Sequence[Facet | Mapping[str, Any]] = ()

    def to_dict(self) -> dict[str, Any]:
        """The value of the context ``filter``."""
        return {"and": plain(list(self.facets))}


@dataclass(frozen=True)
class VisibleColumns(PerContext):
    """Which columns a page shows, in order.

    Parameters
    ----------
    contexts : dict
        Context to a list of column names, names of keys and foreign keys (``[schema, constraint]``) and
        `PseudoColumn`; to the name of another context, to show the same; for ``filter`` to a `FacetList`.

    Raises
    ------
    DerivaMLValidationError
        If Chaise knows no such context.

    Examples
    --------
    >>> VisibleColumns({"*": ["Name", "RID"]}).with_context("entry", ["Name"]).to_dict()
    {'*': ['Name', 'RID'], 'entry': ['Name']}
    """

    TAG: ClassVar[str] = tags.VISIBLE_COLUMNS


@dataclass(frozen=True)
class VisibleForeignKeys(PerContext):
    """Which tables that refer to a row its page shows, in order.

    Parameters
    ----------
    contexts : dict
        ``*`` or ``detailed`` to a list of names of foreign keys (``[schema, constraint]``) that refer to the table, and
        `PseudoColumn` that begin with one; or to the name of the other context.
    """

    TAG: ClassVar[str] = tags.VISIBLE_FOREIGN_KEYS
