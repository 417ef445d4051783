"""Who made the rows that are cloned: clients that the destination must know before rows can name them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from deriva_ml.catalog.replay import Difference
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import DerivaMLAuthenticationError
from deriva_ml.names import SYSTEM_COLUMNS

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table

logger = logging.getLogger(__name__)

_CLIENTS = ("public", "ERMrest_Client")


def bring_people(
    source: Connection, target: Connection, model: CatalogModel, difference: Difference
) -> frozenset[str]:
    """See that the destination knows the people that the rows of an extract name.

    Parameters
    ----------
    source, target : Connection
    model : CatalogModel
        Of the destination.
    difference : Difference

    Returns
    -------
    frozenset of str
        Ids of those it knows.
    """
    named = {
        value
        for table in difference.tables()
        for column in _naming(table)
        for value in difference.values(table, column)
    }
    if not named:
        return frozenset()
    known = rows.present(target, _CLIENTS, "ID", named)
    if named - known:
        kept = {column.name for column in model.schemas["public"].tables["ERMrest_Client"].columns}
        kept -= set(SYSTEM_COLUMNS)
        try:
            found = rows.read(source, _CLIENTS, where={"ID": named - known})
            made = [{name: value for name, value in row.items() if name in kept} for row in found]
            rows.insert(target, _CLIENTS, made, skip_conflicts=True)
        except DerivaMLAuthenticationError as error:
            logger.warning("Not all cloned rows can say who made them: %s", error)
        known = rows.present(target, _CLIENTS, "ID", named)
    return frozenset(known)


def _naming(table: Table) -> set[str]:
    """Columns of a table that name people; not who changed a row last, which the destination notes by itself."""
    found = {
        column.name
        for key in table.foreign_keys
        if (key.pk_table.schema.name, key.pk_table.name) == _CLIENTS and len(key.foreign_key_columns) == 1
        for column in key.foreign_key_columns
    }
    return (found | {"RCB"}) - {"RMB"}
