"""The front door: one object per open catalog, whose methods are the rooms' functions."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, cast

from deriva_ml import citation, vocabulary
from deriva_ml.connection import DerivaMLConfig, read_context
from deriva_ml.ermrest.rids import ResolvedRid, resolve_rid, resolve_rids
from deriva_ml.errors import DerivaMLSchemaRefreshBlocked
from deriva_ml.execution import commit, execution, validate
from deriva_ml.logs import configure_logging
from deriva_ml.model.graph import CatalogModel, TableName
from deriva_ml.names import ML_SCHEMA, ConnectionMode, one_or_more
from deriva_ml.reexport import Forward, room, rooms
from deriva_ml.session import Session
from deriva_ml.workflow import workflow as workflows
from deriva_ml.workspace import Workspace

if TYPE_CHECKING:
    from deriva_ml import experiment, legacy, markup, storage, tables
    from deriva_ml.asset import asset as assets
    from deriva_ml.asset import define as asset_tables
    from deriva_ml.catalog import origin
    from deriva_ml.chaise import entries, read, stage, whole
    from deriva_ml.dataset import dataset as datasets
    from deriva_ml.dataset import download as bags
    from deriva_ml.dataset import estimate, registry
    from deriva_ml.execution import audit, execution_snapshot, files, pending_summary, queries, unknown
    from deriva_ml.execution import suggest as suggestions
    from deriva_ml.feature import feature as features
    from deriva_ml.feature import values
    from deriva_ml.feature.record import FeatureRecord
    from deriva_ml.feature.select import Selector
    from deriva_ml.lineage import lookup as lineage
    from deriva_ml.metrics import find as metrics
else:
    experiment, legacy, markup, storage = rooms("deriva_ml", "experiment", "legacy", "markup", "storage")
    tables, metrics = room("deriva_ml.tables"), room("deriva_ml.metrics.find")
    assets, asset_tables = rooms("deriva_ml.asset", "asset", "define")
    entries, read, stage, whole = rooms("deriva_ml.chaise", "entries", "read", "stage", "whole")
    origin, lineage = room("deriva_ml.catalog.origin"), room("deriva_ml.lineage.lookup")
    datasets, bags = rooms("deriva_ml.dataset", "dataset", "download")
    estimate, registry = rooms("deriva_ml.dataset", "estimate", "registry")
    audit, execution_snapshot, files = rooms("deriva_ml.execution", "audit", "execution_snapshot", "files")
    pending_summary, queries = rooms("deriva_ml.execution", "pending_summary", "queries")
    suggestions, unknown = rooms("deriva_ml.execution", "suggest", "unknown")
    features, values = rooms("deriva_ml.feature", "feature", "values")

P = ParamSpec("P")
R = TypeVar("R")


def _forward(
    find: Callable[[], Callable[Concatenate[Any, P], R]], first: str = "_session"
) -> Callable[Concatenate[DerivaML, P], R]:
    """Make a method of a room's function, which takes one of our attributes first; its signature is the function's."""
    return cast("Callable[Concatenate[DerivaML, P], R]", Forward(find, first))


class DerivaML:
    """A catalog, opened.

    Parameters
    ----------
    hostname : str or path
        A folder on this disk (``./demo``, ``file:///data/demo``), a network name, or ``http://host:port``.
    catalog_id : str or int
        Id or alias; ``1@2ZX-…`` for a snapshot.
    domain_schemas : str or collection of str, optional
        Schemas of your own tables; all that are neither the library's nor the service's by default.
    default_schema : str, optional
        Where new tables go; the only domain schema by default.
    project_name : str, optional
        Prefix of the identifiers of new terms.
    cache_dir, working_dir : path, optional
        ``~/.deriva-ml/<host>/<catalog>`` and ``cache`` in it by default.
    hydra_runtime_output_dir : path, optional
        Output folder of the Hydra job that this program runs in.
    ml_schema : str
    logging_level, deriva_logging_level : int or str
    credential : dict, optional
        As deriva-auth stores them; found by host name by default.
    s3_bucket : str, optional
    use_minid : bool, optional
    clean_execution_dir : bool
        Whether the scratch folder of an execution is removed once all is committed.
    mode : ConnectionMode or str
        ``offline`` works with the schema kept in `working_dir`, and changes local state only.
    timeout : tuple of float, optional
        Seconds to wait for a connection, and for each part of an answer: raise it on slow networks.
    chunk_size : int, optional
        Bytes of one request of a large upload over the network, 25 MiB by default.
    reuse_schema_json, check_auth
        Accepted and ignored.

    Raises
    ------
    DerivaMLConnectionError
        If the host or folder cannot be reached.
    DerivaMLCatalogNotFound
        If there is no such catalog.
    DerivaMLSchemaError
        If the catalog was not made for this library.

    Examples
    --------
    >>> ml = DerivaML("./demo", "1")  # doctest: +SKIP
    """

    def __init__(
        self,
        hostname: str | Path,
        catalog_id: str | int,
        domain_schemas: str | Collection[str] | None = None,
        default_schema: str | None = None,
        project_name: str | None = None,
        cache_dir: str | Path | None = None,
        working_dir: str | Path | None = None,
        hydra_runtime_output_dir: str | Path | None = None,
        ml_schema: str = ML_SCHEMA,
        logging_level: int | str = logging.WARNING,
        deriva_logging_level: int | str = logging.WARNING,
        credential: dict[str, Any] | None = None,
        s3_bucket: str | None = None,
        use_minid: bool | None = None,
        clean_execution_dir: bool = True,
        mode: ConnectionMode | str = ConnectionMode.online,
        reuse_schema_json: Any = None,
        timeout: tuple[float, float] | None = None,
        chunk_size: int | None = None,
        check_auth: bool | None = None,
    ) -> None:
        configure_logging(logging_level, deriva_logging_level)
        self.start_time = datetime.now(UTC)
        self._snapshots: dict[str, Self] = {}
        self._session = Session.open(
            hostname,
            catalog_id,
            working_dir=working_dir,
            cache_dir=cache_dir,
            credential=credential,
            domain_schemas=None
            if domain_schemas is None
            else frozenset(one_or_more("domain_schemas", domain_schemas)),
            mode=mode,
            timeout=timeout,
            chunk_size=chunk_size,
            ml_schema=ml_schema,
            given_default_schema=default_schema,
            given_project_name=project_name,
            clean_execution_dir=clean_execution_dir,
            hydra_runtime_output_dir=Path(hydra_runtime_output_dir) if hydra_runtime_output_dir else None,
            s3_bucket=s3_bucket,
            use_minid=s3_bucket is not None and use_minid is not False,
        )
        self._session.resolver = self

    @classmethod
    def instantiate(cls, config: DerivaMLConfig) -> Self:
        """Open the catalog that a configuration names."""
        return cls(**{name: getattr(config, name) for name in type(config).model_fields})

    @classmethod
    def from_context(cls, path: str | Path | None = None) -> Self:
        """Open the catalog that a project's ``.deriva-context.json`` names; see `deriva_ml.connection.read_context`."""
        return cls(**read_context(path))

    # What is open ------------------------------------------------------------------------------------------------

    @property
    def host_name(self) -> str:
        """Host or folder, as it was given."""
        return self._session.connection.host

    @property
    def catalog_id(self) -> str:
        """Id of the catalog."""
        return self._session.connection.catalog_id

    @property
    def catalog(self) -> Any:
        """deriva-py's binding of the catalog; offline, what says that it cannot be asked."""
        return self._session.catalog

    @property
    def credential(self) -> dict[str, Any] | None:
        """What the service is shown to know the caller."""
        return self._session.connection.site.credential

    @property
    def model(self) -> CatalogModel:
        """The catalog's model: deriva-py's, with questions such as ``is_vocabulary(table)``."""
        return self._session.model

    @property
    def ml_schema(self) -> str:
        """Schema of the library's tables."""
        return self._session.ml_schema

    @property
    def domain_schemas(self) -> frozenset[str]:
        """Schemas of the user's tables."""
        return self._session.domain_schemas

    @property
    def default_schema(self) -> str | None:
        """Schema that new tables go to, None when there are several or none to choose from."""
        return self._session.default_schema

    @property
    def project_name(self) -> str:
        """Prefix of the identifiers of new terms."""
        return self._session.project_name

    @property
    def working_dir(self) -> Path:
        """Folder of all local state of this catalog."""
        return self._session.working_dir

    @property
    def cache_dir(self) -> Path:
        """Folder of downloaded bags and assets."""
        return self._session.cache_dir

    @property
    def workspace(self) -> Workspace:
        """Local state of this catalog."""
        return self._session.workspace

    @property
    def mode(self) -> ConnectionMode:
        """Whether calls may use the catalog."""
        return self._session.mode

    @property
    def s3_bucket(self) -> str | None:
        """Bucket for published bags."""
        return self._session.s3_bucket

    @property
    def use_minid(self) -> bool:
        """Whether bags are published under a persistent identifier."""
        return self._session.use_minid

    @property
    def clean_execution_dir(self) -> bool:
        """Whether the scratch folder of an execution is removed once all is committed."""
        return self._session.clean_execution_dir

    @property
    def hydra_runtime_output_dir(self) -> Path | None:
        """Output folder of the Hydra job that this program runs in."""
        return self._session.hydra_runtime_output_dir

    def is_snapshot(self) -> bool:
        """Whether this is the catalog as it was at a time."""
        return self._session.is_snapshot

    def catalog_snapshot(self, version_snapshot: str) -> Self:
        """The same catalog as it was at a snapshot, to be read only.

        Parameters
        ----------
        version_snapshot : str
            ``<catalog>@<snapshot>`` or the snapshot alone.

        Raises
        ------
        DerivaMLValidationError
            If it has another form, or is a snapshot of another catalog.
        """
        snapshot = citation.snapshot_named(self._session, version_snapshot)
        if snapshot not in self._snapshots:
            made = copy.copy(self)
            made._snapshots = {}
            made._session = self._session.at(snapshot)
            made._session.resolver = made
            self._snapshots[snapshot] = made
        return self._snapshots[snapshot]

    def whoami(self) -> dict[str, Any] | None:
        """The caller as the service knows it (``id``, ``display_name``, …), None when it does not."""
        return self._session.connection.whoami()

    @property
    def catalog_provenance(self) -> origin.CatalogProvenance | None:
        """How this catalog was made and of what it is a clone; None where nobody has noted that."""
        return origin.get_catalog_provenance(self._session.connection)

    def is_authenticated(self) -> bool:
        """Whether the service knows the caller."""
        return self.whoami() is not None

    def pathBuilder(self) -> Any:
        """deriva-py's builder of queries, made once for the tables that there are."""
        made_for = (self.catalog, tables.shape_of(self.model))
        if self.__dict__.get("_builder", (None,))[0] != made_for:
            self._builder = (made_for, self.catalog.getPathBuilder())
        return self._builder[1]

    def __getattr__(self, name: str) -> Any:
        return legacy.attribute(self, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._session.connection.name}>"

    def _repr_html_(self) -> str:
        schemas = ", ".join(sorted(self.domain_schemas)) or "none"
        facts = {"Catalog": self._session.connection.name, "Domain schemas": schemas}
        return markup.facts({**facts, "Working directory": self.working_dir})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_snapshots": {}, "_builder": (None, None)}

    # Addresses and RIDs ------------------------------------------------------------------------------------------

    cite = _forward(lambda: citation.cite)
    chaise_url = _forward(lambda: citation.chaise_url)

    def resolve_rid(self, rid: str) -> ResolvedRid:
        """Find the table of a RID; see `deriva_ml.ermrest.rids.resolve_rid`."""
        return resolve_rid(self._session.connection, self.model, rid)

    def resolve_rids(
        self, rids: Collection[str], candidate_tables: Collection[TableName] | None = None
    ) -> dict[str, ResolvedRid]:
        """Find the tables of many RIDs; see `deriva_ml.ermrest.rids.resolve_rids`."""
        return resolve_rids(self._session.connection, self.model, rids, candidate_tables)

    # The schema --------------------------------------------------------------------------------------------------

    def refresh_schema(self, *, force: bool = False) -> None:
        """Read the model again.

        Raises
        ------
        DerivaMLOfflineError
            When working offline.
        DerivaMLSchemaPinned
            If the model is pinned.
        DerivaMLSchemaRefreshBlocked
            If outputs wait for a commit, which were checked against the present model; `force` refreshes anyway.
        """
        self._session.require_online("refresh the schema")
        self._session.workspace.pinned_model.require_unpinned()
        waiting = sum(bool(snapshot.waiting) for snapshot in self.list_executions())
        if waiting and not force:
            raise DerivaMLSchemaRefreshBlocked(
                f"{waiting} executions have outputs to commit; commit them first, or pass force=True."
            )
        self._session.refresh()

    create_schema = _forward(lambda: Session.create_schema)
    apply_catalog_annotations = _forward(lambda: tables.apply_catalog_annotations)
    apply_annotations = _forward(lambda: stage.apply_annotations)
    get_table_annotations = _forward(lambda: read.get_table_annotations)
    get_column_annotations = _forward(lambda: read.get_column_annotations)
    get_handlebars_template_variables = _forward(lambda: read.get_handlebars_template_variables)
    is_strict_preallocated_rid = _forward(lambda: read.is_strict_preallocated_rid)
    set_strict_preallocated_rid = _forward(lambda: whole.set_strict_preallocated_rid)
    set_display_annotation = _forward(lambda: whole.set_display_annotation)
    set_visible_columns = _forward(lambda: whole.set_visible_columns)
    set_visible_foreign_keys = _forward(lambda: whole.set_visible_foreign_keys)
    set_table_display = _forward(lambda: whole.set_table_display)
    set_column_display = _forward(lambda: whole.set_column_display)
    add_visible_column = _forward(lambda: entries.add_visible_column)
    remove_visible_column = _forward(lambda: entries.remove_visible_column)
    reorder_visible_columns = _forward(lambda: entries.reorder_visible_columns)
    add_visible_foreign_key = _forward(lambda: entries.add_visible_foreign_key)
    remove_visible_foreign_key = _forward(lambda: entries.remove_visible_foreign_key)
    reorder_visible_foreign_keys = _forward(lambda: entries.reorder_visible_foreign_keys)

    # Tables ------------------------------------------------------------------------------------------------------

    pin_schema = _forward(lambda: tables.pin_schema)
    unpin_schema = _forward(lambda: tables.unpin_schema)
    pin_status = _forward(lambda: tables.pin_status)
    diff_schema = _forward(lambda: tables.diff_schema)
    create_table = _forward(lambda: tables.create_table)
    create_vocabulary = _forward(lambda: vocabulary.create_vocabulary)
    create_asset_table = _forward(lambda: asset_tables.create_asset_table)
    create_asset = _forward(lambda: asset_tables.create_asset)
    define_association = _forward(lambda: tables.define_association)
    get_table_as_dict = _forward(lambda: tables.get_table_as_dict)
    get_table_as_dataframe = _forward(lambda: tables.get_table_as_dataframe)
    cache_table = _forward(lambda: tables.cache_table)
    user_list = _forward(lambda: tables.user_list)

    # Vocabularies ------------------------------------------------------------------------------------------------

    add_term = _forward(lambda: vocabulary.add_term)
    lookup_term = _forward(lambda: vocabulary.lookup_term)
    list_vocabulary_terms = _forward(lambda: vocabulary.list_terms)
    delete_term = _forward(lambda: vocabulary.delete_term)
    clear_vocabulary_cache = _forward(lambda: vocabulary.clear_cache)

    # Assets ------------------------------------------------------------------------------------------------------

    lookup_asset = _forward(lambda: assets.lookup_asset)
    list_assets = _forward(lambda: assets.list_assets)
    find_assets = _forward(lambda: assets.find_assets)
    list_asset_tables = _forward(lambda: assets.list_asset_tables)
    asset_record_class = _forward(lambda: assets.asset_record_class)
    add_files = _forward(lambda: files.add_files)
    list_files = _forward(lambda: files.list_files)

    # Features ----------------------------------------------------------------------------------------------------

    create_feature = _forward(lambda: features.create_feature)
    delete_feature = _forward(lambda: features.delete_feature)
    lookup_feature = _forward(lambda: features.lookup_feature, "model")
    find_features = _forward(lambda: features.find_features, "model")
    find_features_referencing = _forward(lambda: features.find_features_referencing, "model")
    feature_record_class = _forward(lambda: features.feature_record_class, "model")

    def feature_values(
        self,
        table: TableName,
        feature_name: str,
        selector: Selector[Any] | None = None,
        materialize_limit: int | None = None,
        execution_rids: Collection[str] | None = None,
    ) -> Iterator[FeatureRecord]:
        """Read the values of a feature; see `deriva_ml.feature.values.feature_values`."""
        feature = self.lookup_feature(table, feature_name)
        return values.feature_values(
            self._session.reader, feature, selector, materialize_limit, execution_rids
        )

    # Workflows ---------------------------------------------------------------------------------------------------

    create_workflow = _forward(lambda: workflows.create)
    add_workflow = _forward(lambda: workflows.add)
    lookup_workflow = _forward(lambda: workflows.lookup)
    lookup_workflow_by_url = _forward(lambda: workflows.lookup_by_url)
    find_workflows = _forward(lambda: workflows.find)

    # Datasets ----------------------------------------------------------------------------------------------------

    find_datasets = _forward(lambda: datasets.find)
    lookup_dataset = _forward(lambda: datasets.lookup)
    find_datasets_referencing = _forward(lambda: registry.find_referencing)
    delete_dataset = _forward(lambda: datasets.delete)
    list_dataset_element_types = _forward(lambda: registry.list_element_types)
    add_dataset_element_type = _forward(lambda: registry.add_element_type)
    download_dataset_bag = _forward(lambda: bags.download)
    estimate_bag_size = _forward(lambda: estimate.estimate_bag_size)
    bag_info = _forward(lambda: estimate.bag_info)
    estimate_denormalized_size = _forward(lambda: estimate.estimate_denormalized_size)
    cache_dataset = _forward(lambda: bags.cache)

    # Executions --------------------------------------------------------------------------------------------------

    create_execution = _forward(lambda: execution.create_execution)
    resume_execution = _forward(lambda: execution.resume_execution)
    lookup_execution = _forward(lambda: queries.lookup_execution)
    find_executions = _forward(lambda: queries.find_executions)
    find_executions_consuming = _forward(lambda: queries.find_executions_consuming)
    list_asset_executions = _forward(lambda: queries.list_asset_executions)
    list_execution_assets = _forward(lambda: queries.list_execution_assets)
    list_workflow_executions = _forward(lambda: queries.list_workflow_executions)
    find_metrics = _forward(lambda: metrics.find_metrics)
    multirun_status_summary = _forward(lambda: queries.multirun_status_summary)
    validate_dataset_specs = _forward(lambda: validate.validate_dataset_specs)
    validate_execution_configuration = _forward(lambda: validate.validate_execution_configuration)
    validate_config_file = _forward(lambda: validate.validate_config_file)
    validate_config_directory = _forward(lambda: validate.validate_config_directory)
    bootstrap_config = _forward(lambda: suggestions.bootstrap_config)
    list_executions = _forward(lambda: execution_snapshot.list_executions)
    find_incomplete_executions = _forward(lambda: execution_snapshot.find_incomplete_executions)
    gc_executions = _forward(lambda: execution_snapshot.gc_executions)
    pending_summary = _forward(lambda: pending_summary.summarize_workspace)
    commit_pending_executions = _forward(lambda: commit.commit_many)
    lookup_lineage = _forward(lambda: lineage.lineage)
    lookup_descendants = _forward(lambda: lineage.descendants)
    audit_provenance = _forward(lambda: audit.audit_provenance)
    unknown_provenance_execution_rid = _forward(lambda: unknown.unknown_provenance_execution_rid)
    unknown_provenance_file_rid = _forward(lambda: unknown.unknown_provenance_file_rid)
    lookup_experiment = _forward(lambda: experiment.lookup_experiment)
    find_experiments = _forward(lambda: experiment.find_experiments)

    # This disk ---------------------------------------------------------------------------------------------------

    list_execution_dirs = _forward(lambda: storage.list_execution_dirs)
    clean_execution_dirs = _forward(lambda: storage.clean_execution_dirs)
    list_cached_bags = _forward(lambda: storage.list_cached_bags)
    delete_cached_bag = _forward(lambda: storage.delete_cached_bag)
    list_cached_assets = _forward(lambda: storage.list_cached_assets)
    delete_cached_asset = _forward(lambda: storage.delete_cached_asset)
    clear_cache = _forward(lambda: storage.clear_cache)
    get_cache_size = _forward(lambda: storage.get_cache_size)
    get_storage_summary = _forward(lambda: storage.get_storage_summary)
    download_dir = _forward(lambda: storage.download_dir)
