"""One run of code, as the user holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.asset.files import AssetFilePath, as_metadata
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.execution import commit, create, execution_record, inputs, repetition
from deriva_ml.execution.execution_record import ExecutionRecord
from deriva_ml.execution.outputs import OutputFile, output_files
from deriva_ml.execution.run import Run
from deriva_ml.execution.sync import require_open
from deriva_ml.names import DatasetVersion, is_rid
from deriva_ml.records import UploadCallback, UploadReport
from deriva_ml.reexport import room, rooms
from deriva_ml.specs import AssetSpec, DatasetSpec, ExecutionConfiguration, LocalFile, WorkflowSpec
from deriva_ml.workspace import paths

if TYPE_CHECKING:
    from deriva_ml.asset.asset import Asset
    from deriva_ml.asset.filespec import FileSpec
    from deriva_ml.dataset import dataset as datasets_room
    from deriva_ml.dataset.bag import DatasetBag
    from deriva_ml.dataset.dataset import Dataset
    from deriva_ml.execution import features as features_room
    from deriva_ml.execution import files as files_room
    from deriva_ml.execution import nested, pending_summary
    from deriva_ml.execution.pending_summary import PendingSummary
    from deriva_ml.feature.record import FeatureRecord
    from deriva_ml.session import Session
else:
    datasets_room = room("deriva_ml.dataset.dataset")
    features_room, files_room = rooms("deriva_ml.execution", "features", "files")
    nested, pending_summary = rooms("deriva_ml.execution", "nested", "pending_summary")


class Execution(Run):
    """One run of code: what it reads, what it makes, how far it is.

    Usually made by ``ml.create_execution()`` or ``ml.resume_execution()``, used as a context manager for the time of the
    run, and committed after it.

    Parameters
    ----------
    configuration : ExecutionConfiguration
    ml_object : DerivaML
    workflow : Workflow, optional
        In place of the configuration's.
    reload : str, optional
        RID of an execution to take up again, instead of recording a new one.
    dry_run : bool
        Nothing is written to the catalog.

    Attributes
    ----------
    execution_rid : str
    configuration : ExecutionConfiguration or None
    datasets : InputDatasets
        Declared datasets, with the versions that are recorded.
    asset_paths : dict
        Files of declared assets by asset table.

    Examples
    --------
    >>> with ml.create_execution(config) as exe:  # doctest: +SKIP
    ...     path = exe.asset_file_path("Model", "model.pt")
    ...     path.write_bytes(train())
    >>> exe.commit_output_assets()  # doctest: +SKIP
    """

    # Inputs ----------------------------------------------------------------------------------------------------------

    def download_dataset_bag(self, dataset: DatasetSpec | str) -> DatasetBag:
        """Download a version of a dataset, and record that this execution reads it.

        Parameters
        ----------
        dataset : DatasetSpec or str
            Without a version the one that the configuration declares, else the last release.

        Raises
        ------
        DerivaMLTableTypeError
            If the RID is not that of a dataset.
        DerivaMLException
            If there is no such version.
        """
        spec = dataset if isinstance(dataset, DatasetSpec) else DatasetSpec(rid=dataset)
        declared = self.datasets.find(spec.rid)
        if spec.version is None and declared is not None:
            spec = spec.model_copy(update={"version": declared.version})
        spec = repetition.pinned_dataset(spec, self.configuration.workflow)
        plain = DatasetSpec.model_validate(dict(spec))
        bag = inputs.download_dataset(self._session, self.execution_rid, plain)
        if declared is None and not self._dry_run:
            inputs.add_dataset(self._session, self.execution_rid, spec.rid, spec.version)
        return bag

    def add_input_dataset(self, dataset_rid: str, version: DatasetVersion | str | None = None) -> None:
        """Record that this execution reads a dataset; the first version recorded stays."""
        if not self._dry_run:
            inputs.add_dataset(self._session, self.execution_rid, dataset_rid, version)

    def download_asset(
        self, asset_rid: str, dest_dir: Path | str, update_catalog: bool = True, use_cache: bool = False
    ) -> AssetFilePath:
        """Download a file, and record that this execution reads it.

        Parameters
        ----------
        asset_rid : str
        dest_dir : Path or str
            Folder, made if it does not exist.
        update_catalog : bool
            Whether the reading is recorded: role Input, tag Input_File.
        use_cache : bool
            Keep the bytes by MD5 for other executions, and link to them.

        Raises
        ------
        DerivaMLException
            If the RID is not that of an asset.
        """
        record = update_catalog and not self._dry_run
        return inputs.download_asset(
            self._session,
            self.execution_rid,
            asset_rid,
            Path(dest_dir),
            update_catalog=record,
            use_cache=use_cache,
        )

    def list_input_datasets(self) -> list[Dataset]:
        """Datasets that this execution reads, as the catalog has them."""
        return execution_record.list_input_datasets(self._session, self.execution_rid)

    def list_assets(self, asset_role: str | None = None) -> list[Asset]:
        """Files that this execution read (``Input``) and made (``Output``), as the catalog has them."""
        return execution_record.list_assets(self._session, self.execution_rid, asset_role)

    # Outputs ---------------------------------------------------------------------------------------------------------

    def asset_file_path(
        self,
        asset_name: str,
        file_name: str | Path,
        asset_types: str | Iterable[str] | None = None,
        copy_file: bool = False,
        rename_file: str | None = None,
        metadata: Mapping[str, Any] | Any = None,
        description: str | None = None,
        **kwargs: Any,
    ) -> AssetFilePath:
        """Register an output file.

        Parameters
        ----------
        asset_name : str
            Asset table.
        file_name : str or Path
            A new file, to be written to the path that is returned; or an existing one, which is linked.
        asset_types : str or iterable of str, optional
            Terms of Asset_Type that say what the file is; by default the name of the table.
        copy_file : bool
            Copy an existing file instead of linking to it.
        rename_file : str, optional
            Name in the catalog of a file that exists; a new one is called `file_name`, and a warning says so.
        metadata : mapping or AssetRecord, optional
            Values of the table's metadata columns.
        description : str, optional
            Markdown.
        kwargs
            Further metadata columns.

        Returns
        -------
        AssetFilePath

        Raises
        ------
        DerivaMLTableTypeError, DerivaMLTableNotFound
            If there is no such asset table.
        DerivaMLInvalidTerm
            If a type is unknown.
        DerivaMLValidationError
            If a metadata column does not exist, or two different files would get the same name.
        """
        legacy = kwargs.pop("Asset_Type", None)
        types = legacy if asset_types is None else asset_types
        values = {**as_metadata(metadata), **kwargs}
        file = OutputFile(file_name, types, copy_file, rename_file, values, description)
        return self._outputs.register(asset_name, [file])[0]

    def asset_file_paths(
        self, asset_name: str, files: Iterable[str | Path | Mapping[str, Any]]
    ) -> list[AssetFilePath]:
        """Register many output files of one table, all or none, for the price of one.

        Parameters
        ----------
        asset_name : str
        files : iterable
            Names or paths, or mappings with the parameters of `asset_file_path`.

        Examples
        --------
        >>> exe.asset_file_paths("Image", [{"file_name": p, "metadata": {"Subject": s}} for p, s in scans])  # doctest: +SKIP
        """
        return self._outputs.register(asset_name, output_files(files))

    def metrics_file(self, filename: str = "metrics.jsonl") -> AssetFilePath:
        """A file for metrics, one JSON object per line; repeated calls give the same path.

        Parameters
        ----------
        filename : str
            One file per name.
        """
        return self._outputs.metrics_file(filename)

    def discard_asset_file(self, file: str | Path) -> None:
        """Forget a registered output that is not committed yet, given by its path or ``<Table>/<name>``."""
        self._outputs.discard(file)

    def discard_features(self, feature_name: str | None = None) -> int:
        """Forget staged feature records that are not committed yet, of one feature or of all; how many there were."""
        return self._session.workspace.features.discard(self.execution_rid, feature_name)

    def add_features(self, features: Iterable[FeatureRecord]) -> int:
        """Stage feature values; they reach the catalog with `commit_output_assets`.

        Parameters
        ----------
        features : iterable of FeatureRecord
            Of one feature. Asset columns take a RID, or the path of a registered output.

        Returns
        -------
        int
            Number of values that are staged: of several records for one row the last one counts.

        Raises
        ------
        DerivaMLValidationError
            If there are none (also a `ValueError`), or they belong to several features, or refer to what does not exist.
        """
        return features_room.stage(
            self._session, self.execution_rid, self._outputs, features, recorded=not self._dry_run
        )

    def create_dataset(
        self,
        dataset_types: str | Iterable[str] | None = None,
        version: DatasetVersion | str | None = None,
        description: str = "",
    ) -> Dataset:
        """Make a dataset that this execution produces.

        Raises
        ------
        DerivaMLInvalidTerm
            If a type is unknown.
        DerivaMLExecutionError
            If the execution is aborted.
        """
        if self._dry_run:
            raise DerivaMLException("A dry run writes nothing to the catalog, so it cannot make a dataset.")
        require_open(self._session, self.execution_rid, "make a dataset")
        made = datasets_room.create(
            self._session,
            execution_rid=self.execution_rid,
            dataset_types=dataset_types,
            version=version,
            description=description,
        )
        self._session.workspace.executions.update(self.execution_rid, has_output=True)
        return made

    def add_files(
        self,
        files: Iterable[FileSpec],
        dataset_types: str | Iterable[str] | None = None,
        description: str = "",
        chunk_size: int = 500,
        *,
        root_name: str | None = None,
    ) -> Dataset:
        """Register files where they are, as datasets that mirror their folders; see `deriva_ml.execution.files`."""
        made = files_room.add_files(
            self._session,
            files,
            self.execution_rid,
            dataset_types,
            description,
            chunk_size,
            root_name=root_name,
        )
        self._session.workspace.executions.update(self.execution_rid, has_input=True)
        return made

    def table_path(self, table: str) -> Path:
        """CSV file in which rows of a domain table may be collected."""
        found = self._session.table(table)
        if found.schema.name not in self._session.domain_schemas:
            raise DerivaMLException(f"{table!r} is not a table of a domain schema.")
        path = paths.table_csv(self._session.workspace.root, found.schema.name, found.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def commit_output_assets(
        self, clean_folder: bool | None = None, progress_callback: UploadCallback | None = None
    ) -> UploadReport:
        """Upload what is registered and staged, and bring the execution to Uploaded.

        May be called again: after an error to retry, after a crash to go on, after success to add further outputs.

        Parameters
        ----------
        clean_folder : bool, optional
            Whether local copies of what is committed are removed; None for the setting of the connection.
        progress_callback : callable, optional
            Called with `UploadProgress`; by default a progress bar on a terminal and in notebooks.

        Returns
        -------
        UploadReport

        Raises
        ------
        DerivaMLValidationError
            If metadata is missing or refers to nothing; names all problems.
        DerivaMLUploadError
            If files are missing or an upload failed; what is staged is kept.
        InvalidTransitionError
            If the execution never ran, or is aborted.
        """
        if self._dry_run:
            return UploadReport()
        return commit.commit(
            self._session, self.execution_rid, clean_folder=clean_folder, progress=progress_callback
        )

    def upload_execution_outputs(
        self,
        clean_folder: bool | None = None,
        progress_callback: UploadCallback | None = None,
        **options: Any,
    ) -> dict[str, list[AssetFilePath]]:
        """Former name of `commit_output_assets`, which gives the uploaded files; `options` are ignored."""
        self.commit_output_assets(clean_folder, progress_callback)
        return self.uploaded_assets

    def upload_outputs(self, *, retry_failed: bool = True) -> UploadReport:
        """Former name of `commit_output_assets`, which always tries again what failed."""
        return self.commit_output_assets()

    @property
    def uploaded_assets(self) -> dict[str, list[AssetFilePath]]:
        """Committed files by ``schema/Table``, with their RIDs."""
        return {} if self._dry_run else self._outputs.uploaded()

    def pending_summary(self) -> PendingSummary:
        """What waits for the commit."""
        return pending_summary.summarize(self._session, self.execution_rid)

    # Nesting ---------------------------------------------------------------------------------------------------------

    def add_nested_execution(self, nested_execution: Any, sequence: int | None = None) -> None:
        """Record that another execution is part of this one; see `deriva_ml.execution.nested.add`."""
        if not self._dry_run:
            nested.add(self._session, self.execution_rid, nested_execution, sequence)

    def is_nested(self) -> bool:
        """Whether this is part of another execution."""
        return bool(nested.parents(self._session, self._recorded()))

    def is_parent(self) -> bool:
        """Whether other executions are part of this one."""
        return bool(nested.children(self._session, self._recorded()))

    def list_execution_children(self, recurse: bool = False) -> list[ExecutionRecord]:
        """Executions that are part of this one."""
        rids = nested.children(self._session, self._recorded(), recurse=recurse)
        return execution_record.records(self._session, rids)

    def list_execution_parents(self, recurse: bool = False) -> list[ExecutionRecord]:
        """Executions that this one is part of."""
        rids = nested.parents(self._session, self._recorded(), recurse=recurse)
        return execution_record.records(self._session, rids)


def create_execution(
    session: Session,
    configuration: ExecutionConfiguration | None = None,
    *,
    datasets: Iterable[DatasetSpec | str] | None = None,
    assets: Iterable[AssetSpec | LocalFile | str] | None = None,
    workflow: WorkflowSpec | str | None = None,
    description: str | None = None,
    dry_run: bool = False,
) -> Execution:
    """Record a new execution.

    Parameters
    ----------
    session : Session
    configuration : ExecutionConfiguration, optional
        Inputs, workflow, description; or pass these one by one.
    datasets : iterable of DatasetSpec or str, optional
    assets : iterable of AssetSpec, LocalFile or str, optional
    workflow : Workflow or str, optional
        In place of the configuration's; a text is a RID, URL or checksum.
    description : str, optional
    dry_run : bool
        Find and download everything, write nothing to the catalog.

    Returns
    -------
    Execution

    Raises
    ------
    TypeError
        If a configuration is mixed with its parts.
    DerivaMLException
        If there is no workflow, or something that is declared does not exist; nothing is left behind then.
    DerivaMLOfflineError
        When working offline.
    """
    session.require_online("create an execution")
    complete = create.configured(
        session, configuration, datasets=datasets, assets=assets, workflow=workflow, description=description
    )
    return Execution(complete, session, dry_run=dry_run)


def resume_execution(session: Session, execution_rid: str) -> Execution:
    """Take up an execution of this machine again, after a crash or to add outputs.

    Its configuration and inputs are as they were; what is staged waits for `commit_output_assets`.

    Parameters
    ----------
    session : Session
    execution_rid : str

    Raises
    ------
    DerivaMLValidationError
        If that is no RID.
    DerivaMLException
        If it was not run with this working directory.
    DerivaMLStateInconsistency
        If its states here and in the catalog contradict each other.
    """
    if not is_rid(execution_rid):
        raise DerivaMLValidationError(
            f"{execution_rid!r} is not the RID of an execution; see ml.list_executions() for those of this machine."
        )
    return Execution(None, session, reload=execution_rid)
