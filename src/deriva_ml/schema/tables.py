"""The tables of the ML schema, as definitions."""

from __future__ import annotations

from typing import Any

from deriva_ml.model import tags
from deriva_ml.model.build import Reference, asset_companions, association_table, table_with_references
from deriva_ml.model.define import (
    AssetTableDef,
    ColumnDefinition,
    Document,
    ForeignKeyDefinition,
    KeyDefinition,
    TableDefinition,
    VocabularyTableDef,
)
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.graph import CatalogModel
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.names import MLTable
from deriva_ml.schema import display
from deriva_ml.schema.exports import dataset_exports

ASSET_TEMPLATE = "/hatrac/metadata/{{MD5}}.{{Filename}}"
"""Where the web interface puts the bytes of an asset that is uploaded there."""

VOCABULARIES = {
    "Feature_Name": "Names of features.",
    "Asset_Type": "What a file is, and whether a run read or wrote it.",
    "Asset_Role": "On which side of an execution a file stands.",
    "Execution_Status": "Where an execution is in its life.",
    "Workflow_Type": "What a workflow does.",
    "Dataset_Type": "What a dataset is for.",
}


def _text(name: str, comment: str) -> ColumnDefinition:
    return ColumnDefinition(name, BuiltinTypes.text, comment=comment)


def _markdown(name: str, comment: str) -> ColumnDefinition:
    return ColumnDefinition(name, BuiltinTypes.markdown, comment=comment)


def _link(schema: str, column: str, table: str, comment: str, referenced: str = "RID") -> Reference:
    return Reference(schema, table, referenced, column, nullok=True, comment=comment)


def _plain(
    name: str, schema: str, comment: str, parts: list[ColumnDefinition | Reference]
) -> TableDefinition:
    """A table whose references restrict deletion instead of passing it on."""
    references = [part for part in parts if isinstance(part, Reference)]
    columns = [part.column_definition() if isinstance(part, Reference) else part for part in parts]
    keys = [
        ForeignKeyDefinition([part.column_name], part.schema, part.table, [part.column])
        for part in references
    ]
    return TableDefinition(name=name, columns=columns, foreign_keys=keys, comment=comment)


def _execution_tables(schema: str) -> list[TableDefinition]:
    workflow = TableDefinition(
        name="Workflow",
        comment="Code that was run: where it is, and which content it had.",
        columns=[
            _text("Name", "Name of the workflow."),
            _markdown("Description", "What it does."),
            ColumnDefinition("URL", BuiltinTypes.ermrest_uri, comment="Where the code is, at a commit."),
            _text("Checksum", "Hash of the code: git blob hash or image digest."),
            _text("Version", "Version of the code."),
        ],
    )
    execution = _plain(
        "Execution",
        schema,
        "Runs of workflows.",
        [
            _link(schema, "Workflow", "Workflow", "What was run."),
            _markdown("Description", "Why it was run."),
            _text("Execution_Duration", "How long the run took."),
            _text("Download_Duration", "How long fetching its inputs took."),
            _text("Upload_Duration", "How long storing its outputs took."),
            _link(schema, "Status", "Execution_Status", "Where the run is in its life.", "Name"),
            _text("Status_Detail", "What was said at the last change of status."),
        ],
    )
    nested = association_table(
        [Reference(schema, "Execution"), Reference(schema, "Execution", name="Nested_Execution")],
        [
            ColumnDefinition(
                "Sequence", BuiltinTypes.int4, comment="Place in the order; empty for parallel runs."
            )
        ],
        name="Execution_Execution",
        comment="Executions and the ones that run as their parts.",
    )
    types = association_table(
        [Reference(schema, "Workflow"), Reference(schema, "Workflow_Type", "Name")],
        comment="Types of workflows.",
    )
    return [workflow, types, execution, nested]


def directory_dataset_table_def(schema_name: str) -> TableDefinition:
    """Definition of the table that remembers from which source folder a dataset was made.

    Parameters
    ----------
    schema_name : str
        The ML schema.
    """
    return TableDefinition(
        name="Directory_Dataset",
        comment="Datasets that mirror a folder.",
        columns=[
            _text("Dataset", "The dataset."),
            _text(
                "Path",
                "The folder, relative to the root that was added; the name of the folder for the root.",
            ),
        ],
        keys=[KeyDefinition(["Dataset"])],
        foreign_keys=[ForeignKeyDefinition(["Dataset"], schema_name, "Dataset")],
    )


def _dataset_tables(schema: str) -> list[TableDefinition]:
    dataset = table_with_references(
        "Dataset",
        [
            _markdown("Description", "What the dataset holds."),
            ColumnDefinition("Deleted", BuiltinTypes.boolean, comment="True when the dataset was deleted."),
            _link(schema, "Version", "Dataset_Version", "The current version."),
        ],
        comment="Named, versioned collections of rows.",
    )
    version = _plain(
        "Dataset_Version",
        schema,
        "Versions of datasets.",
        [
            ColumnDefinition(
                "Version", BuiltinTypes.text, default="0.1.0", comment="Label, as PEP 440 orders them."
            ),
            _markdown("Description", "What is new in this version."),
            _link(schema, "Dataset", "Dataset", "The dataset."),
            _link(schema, "Execution", "Execution", "The run that made this version."),
            _text("Minid", "Address of the persistent identifier."),
            _text("Minid_Spec_Hash", "SHA-256 of the specification that the identifier was made from."),
            _text(
                "Snapshot", "Catalog snapshot with the rows of this version; empty while it may still change."
            ),
        ],
    ).with_keys(KeyDefinition(["Dataset", "Version"]))
    inputs = association_table(
        [Reference(schema, "Dataset"), Reference(schema, "Execution")],
        [ColumnDefinition("Dataset_Version", BuiltinTypes.text, comment="The version that was read.")],
        comment="Datasets that executions read.",
    ).with_foreign_keys(ForeignKeyDefinition(["Dataset_Version"], schema, "Dataset_Version"))
    return [
        dataset,
        version,
        association_table(
            [Reference(schema, "Dataset"), Reference(schema, "Dataset_Type", "Name")],
            comment="Types of datasets.",
        ),
        association_table(
            [Reference(schema, "Dataset"), Reference(schema, "Dataset", name="Nested_Dataset")],
            name="Dataset_Dataset",
            comment="Datasets and the datasets in them.",
        ),
        inputs,
        directory_dataset_table_def(schema),
        association_table(
            [Reference(schema, "Dataset"), Reference(schema, "File")], comment="Files in datasets."
        ),
    ]


def _asset_tables(schema: str) -> list[TableDefinition]:
    described: dict[str, tuple[str, str | bool]] = {
        "Execution_Metadata": (
            "Files that describe a run: configuration, environment, metrics.",
            ASSET_TEMPLATE,
        ),
        "Execution_Asset": ("Files that a run wrote: models, tables, plots, notebooks.", ASSET_TEMPLATE),
        "File": ("Files that are known by their address only.", False),
    }
    tables: list[TableDefinition] = []
    for name, (comment, template) in described.items():
        asset = AssetTableDef(name=name, comment=comment, schema_name=schema, hatrac_template=template)
        tables += [
            asset.with_annotations(display.asset_annotations(schema, name)),
            *asset_companions(schema, name, schema),
        ]
    return tables


def ml_tables(schema: str, project_name: str) -> list[TableDefinition]:
    """All tables of the ML schema.

    Parameters
    ----------
    schema : str
        Name of the ML schema.
    project_name : str
        Prefix of the short identifiers of terms.
    """
    vocabularies: list[TableDefinition] = [
        VocabularyTableDef(
            name=name,
            curie_template=f"{schema if name == 'Workflow_Type' else project_name}:{{RID}}",
            comment=comment,
            annotations=display.vocabulary_annotations(),
        )
        for name, comment in VOCABULARIES.items()
    ]
    shown = display.ml_table_annotations(schema)
    own = [*_execution_tables(schema), *_dataset_tables(schema), *_asset_tables(schema)]
    return vocabularies + [table.with_annotations(shown.get(table.name, {})) for table in own]


def ml_schema_document(schema: str, project_name: str) -> Document:
    """The ML schema with all its tables as one ERMrest document."""
    tables = {}
    for table in ml_tables(schema, project_name):
        document = table.to_dict()
        here = {"schema_name": schema, "table_name": table.name}
        for key in document["foreign_keys"]:
            key["foreign_key_columns"] = [{**here, **column} for column in key["foreign_key_columns"]]
        tables[table.name] = {**document, "schema_name": schema}
    model: Any = DocumentModel({"schemas": {schema: {"tables": tables}}})
    tables[MLTable.dataset]["annotations"] |= dataset_exports(CatalogModel(model, schema))
    return {
        "schema_name": schema,
        "comment": "Executions, workflows, datasets and files, and how they came from each other.",
        "annotations": {tags.DISPLAY: {"name_style": {"underline_space": True}}},
        "acls": {},
        "tables": tables,
    }


def www_schema_document(schema: str = "WWW") -> Document:
    """The schema for pages that people write in the web interface, with files attached to them."""
    page = TableDefinition(
        name="Page",
        columns=[
            ColumnDefinition(
                "Title", BuiltinTypes.text, nullok=False, comment="Title, different for every page."
            ),
            _markdown("Content", "Content of the page."),
        ],
        keys=[KeyDefinition(["Title"])],
        annotations={
            tags.TABLE_DISPLAY: {
                "row_name": {"row_markdown_pattern": "{{{Title}}}"},
                "detailed": {"hide_column_headers": True, "collapse_toc_panel": True},
            },
            tags.VISIBLE_COLUMNS: {
                "compact": ["Title"],
                "detailed": ["Content"],
                "entry": ["Title", "Content"],
                "filter": {"and": []},
            },
        },
    )
    file = AssetTableDef(
        name="File",
        schema_name=schema,
        columns=[
            ColumnDefinition("Page", BuiltinTypes.text, nullok=False, comment="The page it belongs to.")
        ],
        foreign_keys=[ForeignKeyDefinition(["Page"], schema, "Page")],
    )
    return {
        "schema_name": schema,
        "comment": "Pages shown as web content.",
        "annotations": {},
        "acls": {},
        "tables": {table.name: {**table.to_dict(), "schema_name": schema} for table in (page, file)},
    }
