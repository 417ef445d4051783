"""How rows of a table become members of datasets, or why they cannot."""

from __future__ import annotations

from deriva_ml.errors import DerivaMLTableTypeError
from deriva_ml.model.graph import CatalogModel, Element, Table, TableName


def dataset_element(model: CatalogModel, table: TableName) -> Element:
    """How rows of a table become members of datasets.

    Raises
    ------
    DerivaMLTableTypeError
        If they cannot be.
    """
    wanted = model.name_to_table(table)
    for element in model.dataset_elements():
        if element.table is wanted:
            return element
    why = why_no_element(model, wanted) or f"; allow it with ml.add_dataset_element_type({wanted.name!r})."
    raise DerivaMLTableTypeError(
        "dataset element", wanted.name, f"Rows of {wanted.name!r} cannot be members of a dataset{why}"
    )


def why_no_element(model: CatalogModel, table: Table) -> str:
    """How a message goes on that refuses rows of a table as members; empty if they can be allowed.

    Parameters
    ----------
    model : CatalogModel
    table : Table
        Whose rows are no members yet.
    """
    if model.is_vocabulary(table):
        return ": they are terms. What refers to a term can be a member, and the term comes along with it."
    if not model.is_domain(table):
        return ": only rows of tables of your own schemas, files and datasets can be."
    if model.is_association(table, max_arity=None):
        joined = " and ".join(key.pk_table.name for key in model.associated(table))
        return (
            f": they only join {joined}. Let rows of one of these be members; the rows that join them belong to a "
            "dataset along with them."
        )
    return ""
