"""What every new catalog has: schema ``public`` with the tables of clients, groups and leased RIDs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deriva_server.model import changes, parse
from deriva_server.model.elements import SYSTEM_COLUMNS, Model
from deriva_server.model.parse import ACL_NAMES, NewRid
from deriva_server.model.types import SYSTEM_NULLOK, SYSTEM_TYPES

INDEXING: Mapping[str, Any] = {
    "tag:isrd.isi.edu,2018:indexing-preferences": {"btree": True, "trgm": True, "gin_array": True}
}
"""Annotations of a new catalog where its creator gives none."""

_CLOSED: Mapping[str, list[str]] = {
    name: [] for name in ("insert", "update", "delete", "select", "enumerate")
}


def system_table(
    name: str,
    columns: Mapping[str, tuple[str, bool]],
    keys: list[list[str]],
    acls: Mapping[str, list[str]],
    acl_bindings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of a table of the service.

    Parameters
    ----------
    name : str
        Its name.
    columns : mapping
        Name to type, and whether it may be null, of the columns besides those of every table.
    keys : list of list of str
        Columns of the keys besides RID.
    acls, acl_bindings : mapping
        As in the document.
    """
    system = {column: (SYSTEM_TYPES[column], SYSTEM_NULLOK[column]) for column in SYSTEM_COLUMNS}
    return {
        "table_name": name,
        "column_definitions": [
            {"name": column, "type": _type(type_), "nullok": nullok}
            for column, (type_, nullok) in (system | dict(columns)).items()
        ],
        "keys": [{"unique_columns": key} for key in [["RID"], *keys]],
        "acls": dict(acls),
        "acl_bindings": dict(acl_bindings or {}),
    }


def _type(name: str) -> dict[str, Any]:
    base = name.removesuffix("[]")
    return {"typename": name} | ({"is_array": True, "base_type": {"typename": base}} if base != name else {})


_TABLES = (
    system_table(
        "ERMrest_Client",
        {
            "ID": ("text", False),
            "Display_Name": ("text", True),
            "Full_Name": ("text", True),
            "Email": ("text", True),
            "Client_Object": ("jsonb", False),
        },
        [["ID"]],
        _CLOSED,
    ),
    system_table(
        "ERMrest_Group",
        {
            "ID": ("text", False),
            "URL": ("text", True),
            "Display_Name": ("text", True),
            "Description": ("text", True),
        },
        [["ID"]],
        _CLOSED,
    ),
    system_table(
        "ERMrest_RID_Lease",
        {"ID": ("text", True)},
        [["RCB", "ID"]],
        {"enumerate": ["*"], "select": [], "update": [], "delete": []},
        {
            "lessee_access": {
                "types": ["select", "update", "delete"],
                "projection": ["RCB"],
                "projection_type": "acl",
                "scope_acl": ["*"],
            }
        },
    ),
)


def initial_model(owner: list[str], annotations: Mapping[str, Any] | None, new_rid: NewRid) -> Model:
    """The model of a new catalog.

    Parameters
    ----------
    owner : list of str
        Roles that own it.
    annotations : mapping, optional
        Annotations of the catalog, in place of the usual ones.
    new_rid : callable
        Gives RIDs.
    """
    acls = {name: list(owner) if name == "owner" else [] for name in ACL_NAMES["catalog"]}
    model = Model({}, dict(INDEXING if annotations is None else annotations), acls)
    model = changes.add_schema(model, parse.schema({"schema_name": "public"}, new_rid))
    for document in _TABLES:
        table, keys, _ = parse.table(document, "public", new_rid)
        model = changes.add_table(model, table, keys, new_rid)
    return model
