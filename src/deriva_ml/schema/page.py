"""The reference page of the ML schema, made from its definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deriva_ml.model.define import Document

_SYSTEM = "RID, RCT, RMT, RCB, RMB"


def schema_page(document: Document, terms: Mapping[str, Mapping[str, str]]) -> str:
    """Markdown that tells every table, column, key and reference of a schema, and the terms it starts with.

    Parameters
    ----------
    document : dict
        An ERMrest schema document.
    terms : mapping
        Vocabulary to term to description.
    """
    name = document["schema_name"]
    head = [
        f"# The schema `{name}`",
        "",
        f"{document['comment']} Every table also has the system columns {_SYSTEM}; they are not repeated below.",
        "",
        "<!-- Made by `deriva-ml validate-schema --write`; do not edit. -->",
    ]
    tables = document["tables"]
    return (
        "\n".join([*head, *(line for table in sorted(tables) for line in _table(tables[table], terms))])
        + "\n"
    )


def _table(table: Document, terms: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    yield from ("", f"## {table['table_name']}", "")
    if table.get("comment"):
        yield from (table["comment"], "")
    yield from ("| column | type | | |", "|---|---|---|---|")
    for column in table["column_definitions"]:
        if column["name"] not in _SYSTEM.split(", "):
            yield f"| `{column['name']}` | {_typed(column)} | {_facts(column)} | {_cell(column.get('comment'))} |"
    keys = [key["unique_columns"] for key in table.get("keys", ()) if key["unique_columns"] != ["RID"]]
    links = [_link(key) for key in table.get("foreign_keys", ()) if not _is_system(key)]
    if keys or links:
        yield ""
    yield from (f"- unique: {_names(columns)}" for columns in sorted(keys))
    yield from sorted(links)
    if known := terms.get(table["table_name"]):
        yield from ("", "Terms of a new catalog:", "")
        yield from (f"- `{term}`: {text}" for term, text in known.items())


def _typed(column: Mapping[str, Any]) -> str:
    return f"`{column['type']['typename']}`"


def _facts(column: Mapping[str, Any]) -> str:
    facts = [] if column.get("nullok", True) else ["required"]
    if column.get("default") is not None:
        facts.append(f"default `{_cell(str(column['default']))}`")
    return ", ".join(facts)


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _names(columns: list[str]) -> str:
    return ", ".join(f"`{column}`" for column in columns)


def _is_system(key: Mapping[str, Any]) -> bool:
    return all(column["column_name"] in _SYSTEM.split(", ") for column in key["foreign_key_columns"])


def _link(key: Mapping[str, Any]) -> str:
    own = [column["column_name"] for column in key["foreign_key_columns"]]
    there = key["referenced_columns"]
    table = f"{there[0]['schema_name']}.{there[0]['table_name']}"
    deletion = key.get("on_delete") or "NO ACTION"
    return f"- {_names(own)} → `{table}` ({_names([c['column_name'] for c in there])}), on deletion {deletion.lower()}"
