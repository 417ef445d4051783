"""Bring annotations that follow from the tables there are up to date; nothing is sent when they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deriva_ml.ermrest import schemas
from deriva_ml.model import tags
from deriva_ml.names import MLTable
from deriva_ml.schema import display, exports

if TYPE_CHECKING:
    from deriva_ml.ermrest.connect import Connection
    from deriva_ml.model.graph import CatalogModel


def renew_pages(connection: Connection, model: CatalogModel) -> None:
    """Menus, upload settings, and what the web interface exports of a dataset; titles that were given stay."""
    former = model.annotations.get(tags.CHAISE_CONFIG) or {}
    names = {"navbarBrandText": "brand", "headTitle": "title"}
    titles = {names[key]: str(former[key]) for key in names if key in former}
    config = {**former, **display.chaise_config(model, connection.catalog_id, **titles)}
    upload = display.updated_bulk_upload(model.annotations.get(tags.BULK_UPLOAD) or {}, model)
    for key, value in ((tags.CHAISE_CONFIG, config), (tags.BULK_UPLOAD, upload)):
        schemas.set_annotation(connection, model.wrapped, key, value)
    renew_exports(connection, model)


def renew_exports(connection: Connection, model: CatalogModel) -> None:
    """What the web interface exports of a dataset, if the catalog has any."""
    dataset = model.schemas[model.ml_schema].tables.get(MLTable.dataset)
    if dataset is None:
        return
    for key, value in exports.dataset_exports(model, dataset.annotations).items():
        schemas.set_annotation(connection, dataset, key, value)
