"""The class of the metadata of an asset table's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, create_model

from deriva_ml.model.fields import field_name, field_of
from deriva_ml.specs import Checked

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, TableName


class AssetRecord(Checked):
    """Values of the metadata columns of one asset; `asset_record_class` gives the class for an asset table.

    Attributes
    ----------
    asset_table : str
        Name of the asset table (class attribute).
    """

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), populate_by_name=True
    )

    asset_table: ClassVar[str] = ""

    if TYPE_CHECKING:
        # Fields of the classes that are made at run time.
        def __init__(self, **values: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...


_RESERVED = frozenset(dir(AssetRecord))


def asset_record_class(model: CatalogModel, table: TableName) -> type[AssetRecord]:
    """Make the class of the metadata of an asset table.

    Parameters
    ----------
    model : CatalogModel
    table : Table or str
        An asset table.

    Returns
    -------
    type
        ``<Table>AssetRecord``: one field per metadata column, required where the catalog requires a value.

    Raises
    ------
    DerivaMLTableTypeError
        If the table is not an asset table.
    """
    found = model.require_asset(table)
    metadata = model.asset_metadata(found)
    fields: dict[str, Any] = {}
    for column in found.columns:
        if column.name in metadata:
            kind, default = field_of(column)
            field = field_name(column.name, _RESERVED)
            fields[field] = (kind, default if field == column.name else Field(default, alias=column.name))
    made = create_model(
        f"{found.name}AssetRecord",
        __base__=AssetRecord,
        __module__=__name__,
        __doc__=f"Metadata of a row of {found.name!r}.",
        **fields,
    )
    made.asset_table = found.name
    return made
