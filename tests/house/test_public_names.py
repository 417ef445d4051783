"""Every name that users know can be imported from where they know it."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import deriva_ml
from deriva_ml.ml import DerivaML
from deriva_ml.reexport import names_in_stub

PACKAGE = Path(deriva_ml.__file__).parent
STUBS = sorted(PACKAGE.rglob("*.pyi"))

KNOWN = {
    "deriva_ml": """
        DerivaML DerivaMLConfig ConnectionMode Execution ExecutionConfiguration Workflow Dataset DatasetReference
        DatasetSpec DatasetSpecConfig Asset AssetFilePath AssetSpec AssetSpecConfig FeatureRecord FeatureReference
        BuiltinTypes ColumnDefinition KeyDefinition ForeignKeyDefinition TableDefinition DerivaSystemColumns
        DerivaAssetColumns ExecAssetType ExecMetadataType FileSpec FileUploadState MLAsset MLVocab RID UploadCallback
        UploadProgress UploadState CachedAsset CachedBag DerivaMLException DerivaMLInvalidTerm
        DerivaMLMaterializeLimitExceeded DerivaMLTableTypeError DerivaMLDirtyWorkflowError CatalogProvenance
        CatalogCreationMethod CloneDetails get_catalog_provenance set_catalog_provenance __version__
    """,
    "deriva_ml.model": """
        ColumnDisplay ColumnDisplayOptions Context Display Facet FacetList FacetRange InboundFK NameStyle OutboundFK
        PreFormat PseudoColumn PseudoColumnDisplay SortKey TableDisplay TableDisplayOptions VisibleColumns
        VisibleForeignKeys
    """,
    "deriva_ml.catalog": """
        clone_via_bag CloneViaBagResult create_ml_workspace OrphanStrategy localize_assets LocalizeResult
        get_catalog_provenance set_catalog_provenance CatalogProvenance CatalogCreationMethod CloneDetails ClonePolicy
    """,
    "deriva_ml.execution": """
        ExecutionConfiguration Execution Workflow AssetSpec AssetSpecConfig LocalFile LocalFileConfig LineageResult
        LineageNode RootDescriptor ExecutionSummary DatasetSummary AssetSummary WorkflowSummary BaseConfig
        DerivaBaseConfig base_defaults load_configs with_description DescribedList notebook_config multirun_config
        MultirunSpec get_multirun_config list_multirun_configs get_all_multirun_configs run_model
        create_model_config DerivaMLModel reset_multirun_state run_notebook get_notebook_configuration
        render_notebook_config
    """,
    "deriva_ml.execution.state_store": "ExecutionStatus ExecutionStateStore EXECUTIONS_TABLE",
    "deriva_ml.execution.state_machine": "InvalidTransitionError ALLOWED_TRANSITIONS validate_transition",
    "deriva_ml.execution.execution_configuration": "ExecutionConfiguration AssetSpec LocalFile",
    "deriva_ml.execution.execution": "Execution",
    "deriva_ml.execution.execution_record": "ExecutionRecord",
    "deriva_ml.execution.execution_snapshot": "ExecutionSnapshot",
    "deriva_ml.execution.pending_summary": "PendingSummary PendingRowCount PendingAssetCount WorkspacePendingSummary",
    "deriva_ml.execution.upload_report": "UploadReport",
    "deriva_ml.execution.lineage": "LineageResult LineageNode RootDescriptor",
    "deriva_ml.execution.workflow": "Workflow",
    "deriva_ml.execution.runner": "run_model create_model_config reset_multirun_state",
    "deriva_ml.execution.model_protocol": "DerivaMLModel",
    "deriva_ml.execution.base_config": """
        BaseConfig DerivaBaseConfig base_defaults load_configs with_description DescribedList notebook_config
        run_notebook get_notebook_configuration render_notebook_config
    """,
    "deriva_ml.execution.multirun_config": """
        MultirunSpec multirun_config get_multirun_config list_multirun_configs get_all_multirun_configs
    """,
    "deriva_ml.dataset.aux_classes": """
        DatasetSpec DatasetSpecConfig DatasetVersion VersionPart DatasetHistory DatasetMinid DatasetReference
        FeatureReference
    """,
    "deriva_ml.dataset.restructure": "Arrangement arrange",
    "deriva_ml.dataset.target_resolution": "Sampling Samples selectors_of",
    "deriva_ml.dataset.validation": "validate_dataset_specs DatasetValidationReport",
    "deriva_ml.dataset": """
        Dataset DatasetBag DatasetSpec DatasetSpecConfig DatasetVersion VersionPart split_dataset subsample random_split
        stratified_split SelectionFunction PartitionInfo SplitResult SubsampleResult
    """,
    "deriva_ml.dataset.split": "split_dataset subsample PartitionInfo SplitResult SubsampleResult",
    "deriva_ml.experiment": "Experiment",
    "deriva_ml.local_db.denormalize": "Denormalizer",
    "deriva_ml.local_db.denormalizer": "Denormalizer",
    "deriva_ml.dataset.dataset": "Dataset",
    "deriva_ml.dataset.dataset_bag": "DatasetBag",
    "deriva_ml.asset": """
        Asset AssetEntry AssetFilePath AssetManifest AssetRecord asset_record_class AssetSpec AssetSpecConfig LocalFile
        LocalFileConfig
    """,
    "deriva_ml.asset.asset": "Asset",
    "deriva_ml.asset.aux_classes": "AssetFilePath AssetSpec AssetSpecConfig LocalFile LocalFileConfig",
    "deriva_ml.asset.manifest": "AssetEntry AssetManifest",
    "deriva_ml.asset.asset_record": "AssetRecord asset_record_class",
    "deriva_ml.feature": "Feature FeatureRecord reduce_with_selector",
    "deriva_ml.core": """
        get_logger configure_logging is_hydra_initialized VALIDATION_CONFIG DERIVA_ML_CONFIG STRICT_VALIDATION_CONFIG
    """,
    "deriva_ml.core.enums": "MLAsset MLVocab MLTable ExecMetadataType ExecAssetType UploadState BuiltinTypes",
    "deriva_ml.core.definitions": """
        RID FileSpec UploadProgress VocabularyTerm VocabularyTermHandle ColumnDefinition ColumnDef KeyDef ForeignKeyDef
        TableDef VocabularyTableDef AssetTableDef DerivaMLException ML_SCHEMA DRY_RUN_RID MLAsset MLVocab BuiltinTypes
    """,
    "deriva_ml.core.exceptions": """
        DerivaMLException DerivaMLConfigurationError DerivaMLDatasetNotFound DerivaMLRidsNotFound DerivaMLUploadError
        NoAssociationException AmbiguousAssociationException DerivaMLDenormalizeMultiLeaf DerivaMLReadOnlyError
    """,
    "deriva_ml.core.constants": "ML_SCHEMA DRY_RUN_RID DerivaSystemColumns DerivaAssetColumns",
    "deriva_ml.core.ermrest": "ColumnDefinition UploadProgress UploadCallback VocabularyTerm",
    "deriva_ml.core.filespec": "FileSpec",
    "deriva_ml.core.config": "DerivaMLConfig",
    "deriva_ml.core.connection_mode": "ConnectionMode",
    "deriva_ml.core.validation": "VALIDATION_CONFIG",
    "deriva_ml.core.logging_config": "get_logger configure_logging",
    "deriva_ml.schema": """
        create_ml_catalog create_or_retarget_ml_catalog create_ml_schema initialize_ml_schema directory_dataset_table_def
    """,
}


@pytest.mark.parametrize("module", KNOWN)
def test_known_names_are_there(module: str) -> None:
    found = importlib.import_module(module)
    missing = [name for name in KNOWN[module].split() if not hasattr(found, name)]
    assert missing == []
    assert {name for name in KNOWN[module].split() if not name.startswith("__")} <= {*dir(found)}


def test_a_function_and_a_module_have_one_name() -> None:
    module = importlib.import_module("deriva_ml.execution.multirun_config")
    from deriva_ml.execution import get_multirun_config, multirun_config

    for call in (module, module.multirun_config, multirun_config):
        call("sweep_of_names", ["a=1,2"], description="two")
        assert get_multirun_config("sweep_of_names").overrides == ["a=1,2"]


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_name_of_a_stub_exists(stub: Path) -> None:
    parts = stub.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    names = names_in_stub(stub.read_text())
    assert sorted(names) == module.__all__
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


def test_packages_do_nothing_when_they_are_imported() -> None:
    """An ``__init__`` is empty, or only says where its names are."""
    for source in PACKAGE.rglob("__init__.py"):
        if source.parent.name == "workspace" or "template" in source.parts:
            continue
        kinds = {type(node) for node in ast.parse(source.read_text()).body}
        assert kinds <= {ast.Expr, ast.ImportFrom, ast.Assign}, source


def test_forwards_have_the_signature_of_their_room() -> None:
    members = {name: getattr(DerivaML, name) for name in vars(DerivaML)}
    forwards = {
        name: member
        for name, member in members.items()
        if inspect.isfunction(member) and hasattr(member, "__wrapped__")
    }
    assert len(forwards) > 30
    for name, member in forwards.items():
        own = list(inspect.signature(member).parameters.values())
        room = list(inspect.signature(member.__wrapped__).parameters.values())
        assert own[0].name == "self", name
        assert own[1:] == room[1:], name
        assert member.__doc__, name


SIGNATURES = {
    "add_term": "table, term_name, description, synonyms=None, exists_ok=True",
    "add_visible_column": "table, context, column, position=None",
    "add_visible_foreign_key": "table, context, foreign_key, position=None",
    "apply_annotations": "",
    "cite": "entity, current=False",
    "create_asset": "asset_name, column_defs=None, fkey_defs=None, referenced_tables=None, comment='', schema=None, "
    "update_navbar=True",
    "create_asset_table": "asset_name, additional_columns=(), comment=None, schema=None, use_hatrac=True, "
    "update_navbar=True",
    "create_execution": "configuration=None, *, datasets=None, assets=None, workflow=None, description=None, "
    "dry_run=False",
    "create_feature": "target_table, feature_name, terms=None, assets=None, metadata=None, optional=None, comment='', "
    "update_navbar=True",
    "create_table": "table, schema=None, update_navbar=True",
    "create_vocabulary": "vocab_name, comment='', schema=None, update_navbar=True",
    "create_workflow": "name, workflow_type, description=''",
    "commit_pending_executions": "execution_rids=None, *, clean_folder=False",
    "delete_dataset": "dataset, recurse=False",
    "delete_term": "table, term_name",
    "feature_values": "table, feature_name, selector=None, materialize_limit=None, execution_rids=None",
    "find_datasets": "deleted=False, sort=None",
    "find_executions": "workflow=None, workflow_type=None, status=None, sort=None, dataset=None, dataset_role='any'",
    "find_workflows": "sort=None",
    "get_column_annotations": "table, column_name",
    "get_handlebars_template_variables": "table",
    "get_table_annotations": "table",
    "is_strict_preallocated_rid": "table",
    "list_executions": "*, status=None, workflow_rid=None, mode=None, since=None",
    "lookup_dataset": "dataset, deleted=False",
    "lookup_execution": "execution_rid",
    "lookup_lineage": "rid, *, depth=None, max_executions=500",
    "lookup_term": "table, term_name",
    "pin_schema": "reason=None",
    "remove_visible_column": "table, context, column",
    "remove_visible_foreign_key": "table, context, foreign_key",
    "reorder_visible_columns": "table, context, new_order",
    "reorder_visible_foreign_keys": "table, context, new_order",
    "resolve_rids": "rids, candidate_tables=None",
    "resume_execution": "execution_rid",
    "set_column_display": "table, column_name, annotation",
    "set_display_annotation": "table, annotation, column_name=None",
    "set_strict_preallocated_rid": "table, strict=True",
    "set_table_display": "table, annotation",
    "set_visible_columns": "table, annotation",
    "set_visible_foreign_keys": "table, annotation",
}


@pytest.mark.parametrize("method", SIGNATURES)
def test_methods_are_called_as_users_call_them(method: str) -> None:
    found = list(inspect.signature(getattr(DerivaML, method)).parameters.values())[1:]
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found]
    assert str(inspect.Signature(plain)) == f"({SIGNATURES[method]})"
