"""How the web interface shows the catalog: annotations of the catalog and of tables, as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from deriva_ml.model import tags
from deriva_ml.model.define import element_name
from deriva_ml.model.graph import CatalogModel, Table

Document = dict[str, Any]

HEAD_TITLE = "Catalog ML"
BRAND = "ML Data Browser"
DOCUMENTATION = "https://github.com/informatics-isi-edu/deriva-ml/blob/main/docs/index.md"


def _fkey(schema: str, table: str, column: str) -> list[str]:
    """Name of a foreign key as annotations give it."""
    return [schema, element_name(table, column, "fkey")]


def _via(schema: str, association: str, here: str, there: str, role: str | None = None) -> list[Any]:
    """Path through an association table, only over rows of one role if given."""
    only = [{"filter": "Asset_Role", "operand_pattern": role}] if role else []
    return [
        {"inbound": _fkey(schema, association, here)},
        *only,
        {"outbound": _fkey(schema, association, there)},
        "RID",
    ]


def _shown(source: list[Any], name: str, comment: str | None = None, **more: Any) -> Document:
    return {"source": source, "markdown_name": name, **({"comment": comment} if comment else {}), **more}


# Tables ------------------------------------------------------------------------------------------------------------


def vocabulary_annotations() -> Document:
    """Annotations of a vocabulary."""
    columns = ["Name", "Description", "Synonyms", "RID"]
    return {
        tags.TABLE_DISPLAY: {"row_name": {"row_markdown_pattern": "{{{Name}}}"}},
        tags.VISIBLE_COLUMNS: {"*": columns, "detailed": [*columns, "ID", "URI"]},
    }


def asset_annotations(schema: str, table: str, metadata: Iterable[str | list[str]] = ()) -> Document:
    """Annotations of an asset table.

    Parameters
    ----------
    schema, table : str
    metadata : iterable of str or [schema, constraint]
        Further columns, and foreign keys by name.
    """
    types = _shown(
        _via(schema, f"{table}_Asset_Type", table, "Asset_Type"),
        "Asset Types",
        aggregate="array_d",
        array_display="csv",
    )
    producer = _shown(
        _via(schema, f"{table}_Execution", table, "Execution", "Output"),
        "Produced By",
        "The run that wrote the file.",
    )
    consumers = _shown(
        _via(schema, f"{table}_Execution", table, "Execution", "Input"),
        "Consumed By",
        "Runs that read the file.",
    )
    compact = ["Filename", types, "Description", *metadata, producer, "Length", "RID"]
    detailed = [*compact[:-1], "MD5", "URL", "RID", "RCT", "RMT", "RCB", "RMB"]
    facets = [
        {"source": "Filename"},
        {"source": types["source"], "markdown_name": "Asset Types", "open": True},
    ]
    return {
        tags.TABLE_DISPLAY: {"row_name": {"row_markdown_pattern": "{{{Filename}}}"}},
        tags.VISIBLE_COLUMNS: {
            "*": compact,
            "detailed": detailed,
            "filter": {"and": [*facets, {"source": "RCT"}]},
        },
        tags.VISIBLE_FOREIGN_KEYS: {"detailed": [consumers]},
    }


def feature_annotations(
    schema: str, table: str, target_column: str, payload: Sequence[str | list[str]]
) -> Document:
    """Annotations of a feature table.

    Parameters
    ----------
    schema, table : str
        The feature table.
    target_column : str
        Its column that refers to what is described.
    payload : sequence of str or [schema, constraint]
        Its value columns, and foreign keys by name.
    """
    producer = _shown([{"outbound": _fkey(schema, table, "Execution")}, "RID"], "Produced By")
    columns = [_fkey(schema, table, target_column), *payload, producer, "RID"]
    name = f"{{{{{{{target_column}}}}}}}: {{{{{{Feature_Name}}}}}}"
    return {
        tags.TABLE_DISPLAY: {"row_name": {"row_markdown_pattern": name}},
        tags.VISIBLE_COLUMNS: {"*": columns},
    }


def _newest_first() -> Document:
    return {tags.TABLE_DISPLAY: {"*": {"row_order": [{"column": "RCT", "descending": True}]}}}


def _workflow(schema: str) -> Document:
    types = _shown(
        _via(schema, "Workflow_Workflow_Type", "Workflow", "Workflow_Type"),
        "Workflow Types",
        aggregate="array_d",
        array_display="csv",
    )
    columns = ["RID", "Name", "Description", types, "URL", "Checksum", "Version", "RCT"]
    runs = _shown([{"inbound": _fkey(schema, "Execution", "Workflow")}, "RID"], "Executions")
    return {
        **_newest_first(),
        tags.VISIBLE_COLUMNS: {"*": columns},
        tags.VISIBLE_FOREIGN_KEYS: {"detailed": [runs]},
    }


def _execution(schema: str) -> Document:
    columns = [
        "RID",
        _fkey(schema, "Execution", "Workflow"),
        "Description",
        _fkey(schema, "Execution", "Status"),
    ]
    durations = ["Status_Detail", "Execution_Duration", "Download_Duration", "Upload_Duration"]
    versions = [
        {"inbound": _fkey(schema, "Dataset_Execution", "Execution")},
        {"outbound": _fkey(schema, "Dataset_Execution", "Dataset_Version")},
        "RID",
    ]
    products = [
        {"inbound": _fkey(schema, "Dataset_Version", "Execution")},
        {"outbound": _fkey(schema, "Dataset_Version", "Dataset")},
        "RID",
    ]
    related = [
        _shown(_via(schema, "Dataset_Execution", "Execution", "Dataset"), "Input Datasets"),
        _shown(versions, "Input Dataset Versions"),
        _shown(_via(schema, "File_Execution", "Execution", "File", "Input"), "Input Files"),
        _shown(products, "Output Datasets"),
        _shown(_via(schema, "Execution_Asset_Execution", "Execution", "Execution_Asset"), "Execution Assets"),
        _shown(
            _via(schema, "Execution_Metadata_Execution", "Execution", "Execution_Metadata"),
            "Execution Metadata",
        ),
        _shown(_via(schema, "Execution_Execution", "Nested_Execution", "Execution"), "Parent Executions"),
        _shown(_via(schema, "Execution_Execution", "Execution", "Nested_Execution"), "Child Executions"),
    ]
    return {
        **_newest_first(),
        tags.VISIBLE_COLUMNS: {"*": [*columns, "RCT"], "detailed": [*columns, *durations, "RCT", "RCB"]},
        tags.VISIBLE_FOREIGN_KEYS: {"detailed": related},
    }


def _dataset(schema: str) -> Document:
    types = _shown(
        _via(schema, "Dataset_Dataset_Type", "Dataset", "Dataset_Type"),
        "Dataset Types",
        aggregate="array_d",
        array_display="csv",
    )
    version = _shown([{"outbound": _fkey(schema, "Dataset", "Version")}, "Version"], "Version")
    columns = ["RID", "Description", types, version, "RCT"]
    related = [
        _shown(_via(schema, "Dataset_Dataset", "Dataset", "Nested_Dataset"), "Member Datasets"),
        _shown(_via(schema, "Dataset_Dataset", "Nested_Dataset", "Dataset"), "Parent Collections"),
        _shown([{"inbound": _fkey(schema, "Dataset_Version", "Dataset")}, "RID"], "Versions"),
        _shown(_via(schema, "Dataset_Execution", "Dataset", "Execution"), "Consumed By Executions"),
    ]
    return {
        **_newest_first(),
        tags.VISIBLE_COLUMNS: {"*": columns, "detailed": [*columns, "Deleted"]},
        tags.VISIBLE_FOREIGN_KEYS: {"detailed": related},
    }


def _dataset_version(schema: str) -> Document:
    link = "[{{{Version}}}](/id/{{{$catalog.id}}}/{{{Dataset}}}{{#Snapshot}}@{{{Snapshot}}}{{/Snapshot}})"
    version = {
        "source": "Version",
        "markdown_name": "Version",
        "display": {"markdown_pattern": link, "wait_for": []},
    }
    dataset, execution = (_fkey(schema, "Dataset_Version", column) for column in ("Dataset", "Execution"))
    consumers = _shown(
        _via(schema, "Dataset_Execution", "Dataset_Version", "Execution"), "Consumed By Executions"
    )
    return {
        tags.TABLE_DISPLAY: {"row_name": {"row_markdown_pattern": "{{{Version}}}"}},
        tags.VISIBLE_COLUMNS: {
            "*": [version, dataset, "Description", execution, "Snapshot", "Minid", "RCT", "RID"]
        },
        tags.VISIBLE_FOREIGN_KEYS: {"detailed": [consumers]},
    }


def ml_table_annotations(schema: str) -> dict[str, Document]:
    """Annotations of the tables of the ML schema that are neither vocabularies nor asset tables, by table."""
    return {
        "Workflow": _workflow(schema),
        "Execution": _execution(schema),
        "Dataset": _dataset(schema),
        "Dataset_Version": _dataset_version(schema),
    }


CLIENT_ANNOTATIONS: Document = {
    tags.DISPLAY: {"name": "Users"},
    tags.TABLE_DISPLAY: {"row_name": {"row_markdown_pattern": "{{{Full_Name}}}"}},
    tags.VISIBLE_COLUMNS: {"compact": ["Full_Name", "Display_Name", "Email", "ID"]},
}
"""Annotations of the table of users."""

GROUP_ANNOTATIONS: Document = {
    tags.DISPLAY: {"name": "Groups"},
    tags.TABLE_DISPLAY: {"row_name": {"row_markdown_pattern": "{{{Display_Name}}}"}},
    tags.VISIBLE_COLUMNS: {"compact": ["Display_Name", "ID"]},
}
"""Annotations of the table of groups."""


# Catalog -----------------------------------------------------------------------------------------------------------


def _entry(catalog_id: str, schema: str, table: str, name: str | None = None) -> Document:
    url = f"/chaise/recordset/#{catalog_id}/{quote(schema, safe='')}:{quote(table, safe='')}"
    return {"name": name or table.replace("_", " "), "url": url}


def _menu(name: str, entries: Iterable[Document]) -> Document:
    return {"name": name, "children": list(entries)}


def _entries(catalog_id: str, tables: Iterable[Table]) -> list[Document]:
    return [_entry(catalog_id, table.schema.name, table.name) for table in tables]


def navbar_menu(model: CatalogModel, catalog_id: str) -> Document:
    """The menus of the web interface for the tables there are."""
    ml = model.ml_schema
    shown = (
        "Workflow",
        "Execution",
        "Execution_Metadata",
        "Execution_Asset",
        "Dataset",
        "Dataset_Version",
        "File",
    )
    users = (("ERMrest_Client", "Users"), ("ERMrest_Group", "Groups"), ("ERMrest_RID_Lease", "Reserved RIDs"))
    features = sorted(model.find_features(), key=lambda feature: (feature.target.name, feature.name))
    menus = [
        _menu("User Info", (_entry(catalog_id, "public", table, name) for table, name in users)),
        _menu("Deriva-ML", (_entry(catalog_id, ml, table) for table in shown)),
    ]
    if "WWW" in model.schemas:
        menus.append(_menu("WWW", (_entry(catalog_id, "WWW", name) for name in model.schemas["WWW"].tables)))
    for schema in sorted(model.domain_schemas):
        own = [
            table
            for table in model.schemas[schema].tables.values()
            if not model.is_vocabulary(table) and not model.is_association(table, 2, None, False, False)
        ]
        menus.append(_menu(schema, _entries(catalog_id, own)))
    named = [
        _entry(
            catalog_id, feature.table.schema.name, feature.table.name, f"{feature.target.name}:{feature.name}"
        )
        for feature in features
    ]
    menus += [
        _menu("Vocabulary", _entries(catalog_id, model.find_vocabularies())),
        _menu("Assets", _entries(catalog_id, model.find_assets())),
        _menu("Features", named),
        {"name": "Catalog Registry", "url": "/chaise/recordset/#0/ermrest:registry"},
        {"name": "Documentation", "url": DOCUMENTATION},
    ]
    return {"newTab": False, "children": menus}


def chaise_config(
    model: CatalogModel, catalog_id: str, brand: str = BRAND, title: str = HEAD_TITLE
) -> Document:
    """Settings of the web interface.

    Parameters
    ----------
    model : CatalogModel
    catalog_id : str
    brand, title : str
        What stands in the bar at the top, and in the title of the window.
    """
    return {
        "headTitle": title,
        "navbarBrandText": brand,
        "systemColumnsDisplayEntry": ["RID"],
        "systemColumnsDisplayCompact": ["RID"],
        "defaultTable": {"table": "Dataset", "schema": model.ml_schema},
        "deleteRecord": True,
        "showFaceting": True,
        "shareCiteAcls": True,
        "exportConfigsSubmenu": {"acls": {"show": ["*"], "enable": ["*"]}},
        "resolverImplicitCatalog": False,
        "showWriterEmptyRelatedOnLoad": False,
        "navbarMenu": navbar_menu(model, catalog_id),
    }


def bulk_upload(model: CatalogModel) -> Document:
    """Settings of deriva's upload program: files under ``asset/<Schema>/<Table>``, tables under ``table``."""
    assets = [_asset_mapping(model, table) for table in model.find_assets() if table.name != "File"]
    rows = {
        "default_columns": ["RID", "RCB", "RMB", "RCT", "RMT"],
        "ext_pattern": r"^.*[.](?P<file_ext>json|csv)$",
        "asset_type": "table",
        "file_pattern": r"^((?!/assets/).)*/records/(?P<schema>[^/]+)/(?P<table>.+?)[.]",
    }
    return {
        "asset_mappings": [*assets, rows],
        "version_update_url": "https://github.com/informatics-isi-edu/deriva-client",
        "version_compatibility": [[">=1.4.0", "<2.0.0"]],
    }


def updated_bulk_upload(former: Document, model: CatalogModel) -> Document:
    """Settings of the upload program with a mapping for every asset table; what was changed in them stays."""
    given = former.get("asset_mappings") or []
    targets = [mapping.get("target_table") for mapping in given]
    wanted = bulk_upload(model)
    new = [
        mapping for mapping in wanted["asset_mappings"] if mapping.get("target_table") not in [*targets, None]
    ]
    there = [[name, table] for name, schema in model.schemas.items() for table in schema.tables]
    kept = [mapping for mapping in given if mapping.get("target_table") in [*there, None]]
    return {**wanted, **former, "asset_mappings": [*new, *kept]} if given else wanted


def _asset_mapping(model: CatalogModel, table: Table) -> Document:
    schema, name = table.schema.name, table.name
    metadata = sorted(model.asset_metadata(table))
    folders = "".join(rf"/(?P<{column}>[^/]+)" for column in metadata if column.isidentifier())
    given = {column: f"{{{column}}}" for column in metadata if column.isidentifier()}
    return {
        "column_map": {
            "MD5": "{md5}",
            "URL": "{URI}",
            "Length": "{file_size}",
            "Filename": "{file_name}",
            "RID": "{asset_rid}",
            **given,
        },
        "file_pattern": rf"^.*/asset/(?P<asset_rid>[^/]+)/(?P<schema>{schema})/(?P<asset_table>{name}){folders}/(?P<file_name>[^/]+)$",
        "target_table": [schema, name],
        "checksum_types": ["sha256", "md5"],
        "hatrac_options": {"versioned_urls": True},
        "hatrac_templates": {
            "hatrac_uri": "/hatrac/{asset_table}/{md5}.{file_name}",
            "content-disposition": "filename*=UTF-8''{file_name}",
        },
        "record_query_template": "/entity/{target_table}/MD5={md5}&Filename={file_name}",
        "create_record_before_upload": False,
    }


def catalog_annotations(
    model: CatalogModel, catalog_id: str, brand: str = BRAND, title: str = HEAD_TITLE
) -> Document:
    """All annotations of a catalog; parameters as for `chaise_config`."""
    return {
        tags.DISPLAY: {"name_style": {"underline_space": True}},
        tags.CHAISE_CONFIG: chaise_config(model, catalog_id, brand, title),
        tags.BULK_UPLOAD: bulk_upload(model),
    }
