"""A wrong value gives one error of our own, which names it and the way out, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deriva_ml.dataset.aux_classes import DatasetSpec
from deriva_ml.errors import (
    DerivaMLCycleError,
    DerivaMLDatasetNotFound,
    DerivaMLException,
    DerivaMLFeatureNotFound,
    DerivaMLInvalidTerm,
    DerivaMLInvalidVersion,
    DerivaMLNotFoundError,
    DerivaMLRidsNotFound,
    DerivaMLSchemaError,
    DerivaMLTableNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.schema import create_ml_catalog
from deriva_ml.specs import ExecutionConfiguration

# What is in the catalog ----------------------------------------------------------------------------------------------

Case = tuple[Callable[[Any], Any], type[Exception], list[str]]

TABLES: dict[str, Case] = {
    "unknown-table": (
        lambda lab: lab.ml.get_table_as_dict("Documnt"),
        DerivaMLTableNotFound,
        ["'Documnt'", "Document"],
    ),
    "asset-of-unknown-table": (lambda lab: lab.output("Nope"), DerivaMLTableNotFound, ["'Nope'"]),
    "asset-of-plain-table": (
        lambda lab: lab.output("Subject"),
        DerivaMLTableTypeError,
        ["'Subject'", "list_asset_tables"],
    ),
    "asset-of-vocabulary": (lambda lab: lab.output("Mood"), DerivaMLTableTypeError, ["'Mood'"]),
    "asset-of-nothing": (lambda lab: lab.output(None), DerivaMLValidationError, ["None is no table"]),
    "assets-of-plain-table": (
        lambda lab: list(lab.ml.list_assets("Subject")),
        DerivaMLTableTypeError,
        ["'Subject'"],
    ),
    "term-typo": (
        lambda lab: lab.ml.lookup_term("Mood", "Hapy"),
        DerivaMLInvalidTerm,
        ["'Hapy'", "Happy", "add_term"],
    ),
    "term-of-plain-table": (
        lambda lab: lab.ml.add_term("Subject", "x", "y"),
        DerivaMLTableTypeError,
        ["'Subject'", "Mood"],
    ),
    "term-of-unknown-table": (lambda lab: lab.ml.lookup_term("Nope", "x"), DerivaMLTableNotFound, ["'Nope'"]),
    "term-without-name": (
        lambda lab: lab.ml.add_term("Mood", "", "y"),
        DerivaMLValidationError,
        ["''", "'Mood'"],
    ),
    "term-of-none": (lambda lab: lab.ml.add_term("Mood", None, "y"), DerivaMLValidationError, ["None"]),
    "term-without-text": (
        lambda lab: lab.ml.add_term("Mood", "Calm", None),
        DerivaMLValidationError,
        ["'Calm'"],
    ),
    "vocabulary-twice": (
        lambda lab: lab.ml.create_vocabulary("Mood", "y"),
        DerivaMLException,
        ["'Mood'", "already"],
    ),
    "asset-table-twice": (
        lambda lab: lab.ml.create_asset("Document"),
        DerivaMLException,
        ["'Document'", "already exists"],
    ),
    "asset-table-of-unknown": (
        lambda lab: lab.ml.create_asset("Page", referenced_tables=["Nope"]),
        DerivaMLTableNotFound,
        ["'Nope'"],
    ),
    "asset-table-elsewhere": (
        lambda lab: lab.ml.create_asset("Page", schema="no"),
        DerivaMLSchemaError,
        ["'no'"],
    ),
    "table-of-text": (
        lambda lab: lab.ml.create_table("Page"),
        DerivaMLValidationError,
        ["'Page'", "TableDefinition"],
    ),
    "table-of-unknown-type": (
        lambda lab: lab.ml.create_table(TableDefinition("Page", [ColumnDefinition("N", "texxt")])),
        DerivaMLException,
        ["texxt"],
    ),
    "element-type": (lambda lab: lab.ml.add_dataset_element_type("Nope"), DerivaMLTableNotFound, ["'Nope'"]),
    "feature-typo": (
        lambda lab: lab.ml.lookup_feature("Document", "Labl"),
        DerivaMLFeatureNotFound,
        ["Labl", "Label, Score"],
    ),
    "feature-values": (
        lambda lab: list(lab.ml.feature_values("Document", "Labl")),
        DerivaMLFeatureNotFound,
        ["Labl"],
    ),
    "feature-of-no-vocabulary": (
        lambda lab: lab.ml.create_feature("Document", "Kind", terms=["Subject"]),
        DerivaMLTableTypeError,
        ["'Subject'", "vocabulary"],
    ),
    "feature-of-unknown": (
        lambda lab: lab.ml.create_feature("Document", "Kind", terms=["Nope"]),
        DerivaMLTableNotFound,
        ["'Nope'"],
    ),
    "feature-column-as-text": (
        lambda lab: lab.ml.create_feature("Document", "Kind", metadata=["Confidence"]),
        DerivaMLTableNotFound,
        ["'Confidence'", "ColumnDefinition('Confidence', BuiltinTypes.text)"],
    ),
    "feature-of-no-asset": (
        lambda lab: lab.ml.create_feature("Document", "Kind", assets=["Mood"]),
        DerivaMLTableTypeError,
        ["'Mood'", "asset"],
    ),
    "feature-terms-as-text": (
        lambda lab: lab.ml.create_feature("Document", "Kind", terms="Mood"),
        DerivaMLValidationError,
        ["terms=['Mood']"],
    ),
    "feature-without-name": (
        lambda lab: lab.ml.create_feature("Document", "", terms=["Mood"]),
        DerivaMLValidationError,
        ["''"],
    ),
    "feature-twice": (
        lambda lab: lab.ml.create_feature("Document", "Label", terms=["Mood"]),
        DerivaMLException,
        ["already exists"],
    ),
    "workflow-type": (
        lambda lab: lab.ml.create_workflow("X", "Analyzis"),
        DerivaMLInvalidTerm,
        ["'Analyzis'", "Analysis"],
    ),
    "workflow-as-text": (
        lambda lab: lab.ml.create_execution(workflow="Analysis"),
        DerivaMLNotFoundError,
        ["'Analysis'", "ml.create_workflow(name, workflow_type)"],
    ),
    "file-as-asset": (
        lambda lab: ExecutionConfiguration(assets=["my labels/é.csv"]),
        DerivaMLValidationError,
        ["LocalFile(path='my labels/é.csv')"],
    ),
    "type-of-column": (
        lambda lab: lab.ml.create_table(TableDefinition("T", [ColumnDefinition("a", "string")])),
        DerivaMLException,
        ['"string"', " text, "],
    ),
    "type-of-python": (
        lambda lab: lab.ml.create_table(TableDefinition("T", [ColumnDefinition("a", float)])),
        DerivaMLValidationError,
        ["float", "BuiltinTypes.float8"],
    ),
    "dataset-without-a-run": (
        lambda lab: lab.ml.create_dataset(["Complete"]),
        DerivaMLException,
        ["exe.create_dataset"],
    ),
    "name-of-project": (
        lambda lab: create_ml_catalog("./nowhere", "été"),
        DerivaMLValidationError,
        ["'été'", "letters a to z"],
    ),
}

RIDS: dict[str, Case] = {
    "unknown": (lambda lab: lab.ml.resolve_rid("9-ZZZ"), DerivaMLRidsNotFound, ["'9-ZZZ'"]),
    "malformed": (lambda lab: lab.ml.resolve_rid("a/b"), DerivaMLException, ["'a/b'"]),
    "execution": (
        lambda lab: lab.ml.lookup_execution("9-ZZZ"),
        DerivaMLNotFoundError,
        ["'9-ZZZ'", "find_executions"],
    ),
    "resume": (
        lambda lab: lab.ml.resume_execution("9-ZZZ"),
        DerivaMLException,
        ["'9-ZZZ'", "list_executions"],
    ),
    "workflow": (
        lambda lab: lab.ml.lookup_workflow("9-ZZZ"),
        DerivaMLNotFoundError,
        ["'9-ZZZ'", "find_workflows"],
    ),
    "asset": (lambda lab: lab.ml.lookup_asset("9-ZZZ"), DerivaMLRidsNotFound, ["'9-ZZZ'"]),
    "asset-kind": (
        lambda lab: lab.ml.lookup_asset(lab.workflow_rid),
        DerivaMLTableTypeError,
        ["'Workflow'", "not an asset"],
    ),
    "dataset": (lambda lab: lab.ml.lookup_dataset("9-ZZZ"), DerivaMLDatasetNotFound, ["'9-ZZZ'"]),
    "dataset-kind": (
        lambda lab: lab.ml.lookup_dataset(lab.workflow_rid),
        DerivaMLTableTypeError,
        ["Workflow"],
    ),
    "lineage": (lambda lab: lab.ml.lookup_lineage("9-ZZZ"), DerivaMLRidsNotFound, ["'9-ZZZ'"]),
    "lineage-of-text": (lambda lab: lab.ml.lookup_lineage("my csv"), DerivaMLException, ["'my csv'"]),
    "input": (lambda lab: lab.exe.download_asset("9-ZZZ", "dl"), DerivaMLRidsNotFound, ["'9-ZZZ'"]),
    "input-kind": (
        lambda lab: lab.exe.download_asset(lab.workflow_rid, "dl"),
        DerivaMLTableTypeError,
        ["'Workflow'"],
    ),
    "bag": (
        lambda lab: lab.exe.download_dataset_bag(DatasetSpec(rid="9-ZZZ")),
        DerivaMLDatasetNotFound,
        ["'9-ZZZ'"],
    ),
    "bag-kind": (
        lambda lab: lab.exe.download_dataset_bag(DatasetSpec(rid=lab.workflow_rid)),
        DerivaMLTableTypeError,
        ["Workflow", "not a dataset"],
    ),
    "bag-version": (
        lambda lab: lab.ml.download_dataset_bag(DatasetSpec(rid=lab.dataset.dataset_rid, version="9.9.9")),
        DerivaMLException,
        ["no version 9.9.9", "0.1.0"],
    ),
    "members-version": (
        lambda lab: lab.dataset.list_dataset_members(version="9.9.9"),
        DerivaMLException,
        ["no version 9.9.9"],
    ),
    "members": (lambda lab: lab.dataset.add_dataset_members(["9-ZZZ"]), DerivaMLRidsNotFound, ["9-ZZZ"]),
    "members-kind": (
        lambda lab: lab.dataset.add_dataset_members([lab.workflow_rid]),
        DerivaMLTableTypeError,
        ["'Workflow'", "cannot be members"],
    ),
    "members-text": (
        lambda lab: lab.dataset.add_dataset_members("9-ZZZ"),
        DerivaMLValidationError,
        ["list of RIDs"],
    ),
    "members-of-table": (
        lambda lab: lab.dataset.add_dataset_members({"Document": [lab.workflow_rid]}),
        DerivaMLValidationError,
        ["Not rows of Document", "Nothing was added"],
    ),
    "members-of-table-unchecked": (
        lambda lab: lab.dataset.add_dataset_members({"Document": ["9-ZZZ"]}, validate=False),
        DerivaMLValidationError,
        ["9-ZZZ"],
    ),
    "members-of-table-text": (
        lambda lab: lab.dataset.add_dataset_members({"Document": "9-ZZZ"}),
        DerivaMLValidationError,
        ["'9-ZZZ'", "list of RIDs"],
    ),
    "members-none": (
        lambda lab: lab.dataset.add_dataset_members(None),
        DerivaMLValidationError,
        ["None", "list of RIDs"],
    ),
    "release-part": (
        lambda lab: lab.dataset.release("tiny", "x"),
        DerivaMLValidationError,
        ["'tiny'", "'major', 'minor', 'patch'"],
    ),
    "increment-part": (
        lambda lab: lab.dataset.increment_dataset_version("tiny"),
        DerivaMLValidationError,
        ["'tiny'"],
    ),
    "download-version": (
        lambda lab: lab.dataset.download_dataset_bag(version="one"),
        DerivaMLInvalidVersion,
        ["'one'", "1.2.0"],
    ),
    "compare-version": (
        lambda lab: lab.dataset.compare_versions("0.1.0", ["a", "b"]),
        DerivaMLInvalidVersion,
        ["['a', 'b']"],
    ),
    "lineage-depth": (
        lambda lab: lab.ml.lookup_lineage(lab.exe.execution_rid, depth="x"),
        DerivaMLValidationError,
        ["depth", "'x'"],
    ),
    "lineage-limit": (
        lambda lab: lab.ml.lookup_lineage(lab.exe.execution_rid, max_executions=None),
        DerivaMLValidationError,
        ["max_executions", "None"],
    ),
    "members-itself": (
        lambda lab: lab.dataset.add_dataset_members([lab.dataset.dataset_rid]),
        DerivaMLCycleError,
        ["cycle"],
    ),
    "dataset-type": (
        lambda lab: lab.exe.create_dataset(description="x", dataset_types=["Trainng"]),
        DerivaMLInvalidTerm,
        ["'Trainng'", "Training"],
    ),
    "spec-rid": (lambda lab: DatasetSpec(rid="not a rid"), DerivaMLValidationError, ["rid", "'not a rid'"]),
    "spec-version": (
        lambda lab: DatasetSpec(rid="1-ABC", version="one"),
        DerivaMLValidationError,
        ["version", "'one'"],
    ),
    "spec-field": (
        lambda lab: DatasetSpec(rid="1-ABC", vers="1.0.0"),
        DerivaMLValidationError,
        ["'vers'", "version"],
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLES.items()])
@pytest.mark.usefixtures("nothing_changes")
def test_wrong_tables_terms_and_features(lab: Any, refused: Any, case: Case) -> None:
    refused(lab, case)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in RIDS.items()])
@pytest.mark.usefixtures("nothing_changes")
def test_wrong_rids_and_versions(lab: Any, refused: Any, case: Case) -> None:
    refused(lab, case)
