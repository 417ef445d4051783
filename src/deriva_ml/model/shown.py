"""Does what an annotation names exist: contexts, columns, keys and foreign keys, step by step along paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.model.annotations import CONTEXTS, Display, name_of, require_context
from deriva_ml.model.protocols import ForeignKey, Table
from deriva_ml.model.visible import require_source
from deriva_ml.names import did_you_mean


def check_shown(table: Table, tag: str, value: Any, label: str) -> None:
    """Check that all that an annotation names is there.

    Parameters
    ----------
    table : Table
        That it is about, or whose column.
    tag : str
    value : JSON
    label : str
        How to call the annotated element in a message.

    Raises
    ------
    DerivaMLValidationError
        Which name is not there, and which are.
    """
    if not isinstance(value, Mapping):
        raise DerivaMLValidationError(f"{name_of(tag)} of {label} must be a dict, not {value!r}.")
    if tag == tags.DISPLAY:
        _check_display(value, label)
    if tag not in CONTEXTS:
        return
    visible = tag in (tags.VISIBLE_COLUMNS, tags.VISIBLE_FOREIGN_KEYS)
    for context, shown in value.items():
        require_context(tag, context)
        if isinstance(shown, str):
            require_context(tag, shown)
        elif visible:
            for entry in _entries(context, shown, _where(tag, context, label)):
                check_entry(table, tag, context, entry)
        elif isinstance(shown, Mapping):
            _check_order(table, shown.get("row_order") or shown.get("column_order"))


def _check_display(value: Mapping[str, Any], label: str) -> None:
    """Find typing errors; the schema of this annotation lets any option pass, so that newer ones of Chaise do."""
    known = [*(option.name for option in fields(Display)), "show_key_link", "comment_display"]
    for option in value:
        if option not in known and (meant := did_you_mean(option, known)):
            raise DerivaMLValidationError(
                f"{option!r} is no option of {name_of(tags.DISPLAY)} of {label}.{meant}"
            )


def _entries(context: str, shown: Any, where: str) -> list[Any]:
    """What a context lists, each entry once."""
    if context == "filter":
        shown = shown.get("and") if isinstance(shown, Mapping) and set(shown) == {"and"} else None
    if not isinstance(shown, list):
        form = "FacetList([...])" if context == "filter" else "a list, or the name of another context"
        raise DerivaMLValidationError(f"The {where} must be {form}.")
    twice = next((entry for place, entry in enumerate(shown) if entry in shown[:place]), None)
    if twice is not None:
        raise DerivaMLValidationError(f"{twice!r} is twice in {where}; name it once.")
    return shown


def check_entry(table: Table, tag: str, context: str, entry: Any) -> None:
    """Check that what an entry of a list of visible columns or foreign keys names is there; as `check_shown`."""
    where, facet = _where(tag, context, _label(table)), context == "filter"
    if isinstance(entry, Mapping):
        require_source(entry, f"{entry!r} in {where}", virtual=not facet and tag == tags.VISIBLE_COLUMNS)
        if "source" in entry:
            _check_source(table, entry["source"], where)
        elif "sourcekey" in entry:
            _check_sourcekey(table, entry["sourcekey"])
    elif facet:
        raise DerivaMLValidationError(f"{entry!r} in {where} is no facet; give Facet({entry!r}).")
    elif isinstance(entry, str) and tag == tags.VISIBLE_COLUMNS:
        _require(entry, table.columns.elements, f"column of {_label(table)}")
    elif _is_constraint(entry):
        inward = [_constraint(key) for key in table.referenced_by]
        outward = [_constraint(key) for key in (*table.foreign_keys, *table.keys)]
        known = inward + outward if tag == tags.VISIBLE_COLUMNS else inward
        kind = "key or foreign key" if tag == tags.VISIBLE_COLUMNS else "foreign key to"
        _require_constraint(entry, known, f"{kind} {_label(table)}")
    else:
        names = "a column name, " if tag == tags.VISIBLE_COLUMNS else ""
        raise DerivaMLValidationError(
            f"{entry!r} in {where} is no entry; give {names}(schema, constraint) or a PseudoColumn."
        )


def _check_source(table: Table, source: Any, where: str) -> None:
    """Follow a path from a table; steps that only filter rows stay where they are."""
    if isinstance(source, str):
        source = [source]
    if not isinstance(source, list) or not source or not isinstance(source[-1], str):
        raise DerivaMLValidationError(
            f"The source {source!r} in {where} is no path; give steps along foreign keys, and a column name at the end."
        )
    here = table
    for step in source[:-1]:
        if not isinstance(step, Mapping):
            raise DerivaMLValidationError(
                f"{step!r} in a source in {where} is no step; give OutboundFK or InboundFK."
            )
        if "outbound" in step:
            key = _step(step["outbound"], here.foreign_keys, f"foreign key of {_label(here)}")
            here = key.pk_table
        elif "inbound" in step:
            key = _step(step["inbound"], here.referenced_by, f"foreign key to {_label(here)}")
            here = key.table
        elif isinstance(step.get("filter"), str):
            _require(step["filter"], here.columns.elements, f"column of {_label(here)}")
    _require(source[-1], here.columns.elements, f"column of {_label(here)}")


def _step(name: Any, keys: Iterable[ForeignKey], what: str) -> ForeignKey:
    known = {tuple(_constraint(key)): key for key in keys}
    _require_constraint(name, [list(one) for one in known], what)
    return known[tuple(name)]


def _check_sourcekey(table: Table, key: Any) -> None:
    sources = (table.annotations.get(tags.SOURCE_DEFINITIONS) or {}).get("sources") or {}
    _require(key, sources, f"source of {name_of(tags.SOURCE_DEFINITIONS)} of {_label(table)}")


def _check_order(table: Table, order: Any) -> None:
    for key in order if isinstance(order, list) else ():
        name = key.get("column") if isinstance(key, Mapping) else key
        _require(name, table.columns.elements, f"column of {_label(table)}")


def _require(name: Any, known: Iterable[str], what: str) -> None:
    names = list(known)
    if not isinstance(name, str) or name not in names:
        there = f"there are {', '.join(names)}" if names else "there are none"
        raise DerivaMLValidationError(f"{name!r} is no {what}; {there}.{did_you_mean(name, names)}")


def _require_constraint(name: Any, known: list[list[str]], what: str) -> None:
    if name not in known:
        there = f"there are {', '.join(map(str, known))}" if known else "there are none"
        raise DerivaMLValidationError(f"{name!r} is no {what}; {there}.")


def _is_constraint(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)


def _constraint(key: Any) -> list[str]:
    return [key.table.schema.name, str(key.constraint_name)]


def _where(tag: str, context: str, label: str) -> str:
    return f"context {str(context)!r} of {name_of(tag)} of {label}"


def _label(table: Table) -> str:
    return f"{table.schema.name}:{table.name}"
