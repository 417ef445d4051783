"""One run of code, as the user holds it."""

from __future__ import annotations

import html
import logging
import signal
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from deriva_ml.asset.asset import Asset
from deriva_ml.asset.files import AssetFilePath, as_metadata
from deriva_ml.dataset import dataset as datasets_room
from deriva_ml.dataset import registry
from deriva_ml.dataset.bag import DatasetBag
from deriva_ml.dataset.dataset import Dataset
from deriva_ml.dataset.download import download
from deriva_ml.errors import DerivaMLException, DerivaMLStateInconsistency
from deriva_ml.execution import commit, create, execution_record, features, inputs, lifecycle, nested
from deriva_ml.execution.execution_record import ExecutionRecord
from deriva_ml.execution.execution_snapshot import session_of
from deriva_ml.execution.inputs import InputDataset, InputDatasets
from deriva_ml.execution.outputs import OutputFile, Outputs
from deriva_ml.execution.pending_summary import PendingSummary, summarize
from deriva_ml.execution.sync import required_state
from deriva_ml.feature.record import FeatureRecord
from deriva_ml.names import DatasetVersion, ExecutionStatus
from deriva_ml.records import UploadCallback, UploadReport
from deriva_ml.specs import AssetSpec, DatasetSpec, ExecutionConfiguration, LocalFile, WorkflowSpec
from deriva_ml.workflow.workflow import Workflow
from deriva_ml.workspace import paths
from deriva_ml.workspace.executions import ExecutionState

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_OVER = frozenset(
    {
        ExecutionStatus.Stopped,
        ExecutionStatus.Pending_Upload,
        ExecutionStatus.Uploaded,
        ExecutionStatus.Failed,
        ExecutionStatus.Aborted,
    }
)


class Execution:
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

    def __init__(
        self,
        configuration: ExecutionConfiguration | None,
        ml_object: Any,
        workflow: WorkflowSpec | str | None = None,
        reload: str | None = None,
        dry_run: bool = False,
    ) -> None:
        session = session_of(ml_object)
        self._session = session
        self._ml_object = ml_object if ml_object is not session else session.resolver or ml_object
        self._dry_run = dry_run
        self._dry_status = ExecutionStatus.Created
        self._signals: dict[int, Any] = {}
        if reload is not None:
            made = _reloaded(session, reload, configuration)
        else:
            complete = create.configured(session, configuration, workflow=workflow)
            made = create.create(session, complete, dry_run=dry_run)
        self.execution_rid = made.execution_rid
        self.configuration = made.configuration
        self.asset_paths = made.asset_paths
        self._record = ExecutionRecord(session, made.row) if made.row is not None else None
        declared = self.configuration.datasets
        self.datasets = InputDatasets([InputDataset.of(session, spec) for spec in declared])
        self._outputs = Outputs(session, self.execution_rid, recorded=not dry_run)

    @classmethod
    def from_registry(cls, *, ml_object: Any, execution_rid: str) -> Self:
        """Take up an execution of this machine again; see `resume_execution`."""
        return cls(None, ml_object, reload=execution_rid)

    # State -----------------------------------------------------------------------------------------------------------

    @property
    def _state(self) -> ExecutionState:
        if self._dry_run:
            raise DerivaMLStateInconsistency("A dry run is not recorded, so it has no times and no error.")
        return required_state(self._session, self.execution_rid)

    @property
    def status(self) -> ExecutionStatus:
        """Where the execution is in its life, as this machine knows it."""
        return self._dry_status if self._dry_run else self._state.status

    @property
    def error(self) -> str | None:
        """Why it failed or was aborted."""
        return self._state.error

    @property
    def start_time(self) -> datetime | None:
        """When it began to run, in UTC."""
        return self._state.start_time

    @property
    def stop_time(self) -> datetime | None:
        """When it ended, in UTC."""
        return self._state.stop_time

    @property
    def workflow_rid(self) -> str | None:
        """RID of the workflow that runs."""
        workflow = self.configuration.workflow
        return workflow.workflow_rid if workflow is not None else None

    @property
    def dataset_rids(self) -> list[str]:
        """RIDs of the declared datasets."""
        return self.datasets.keys()

    @property
    def execution_record(self) -> ExecutionRecord | None:
        """The record in the catalog, None after a resume and in a dry run."""
        return self._record

    @property
    def catalog(self) -> Any:
        """The catalog that the execution is recorded in."""
        return self._ml_object

    @property
    def database_catalog(self) -> Any:
        """The first declared dataset as a catalog of its own, None without datasets."""
        return self.datasets[0].bag if self.datasets else None

    @property
    def working_dir(self) -> Path:
        """Scratch directory; outputs are written to paths of `asset_file_path`, not directly into it."""
        folder = self._session.workspace.execution_dir(self.execution_rid)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def execute(self) -> Self:
        """Itself, for ``with exe.execute() as e``."""
        return self

    def __enter__(self) -> Self:
        self.execution_start()
        self._watch_signals()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._release_signals()
        if self._dry_run:
            self._dry_status = ExecutionStatus.Stopped if kind is None else ExecutionStatus.Failed
            if kind is not None:
                logger.error("The dry run ended with %s: %s", kind.__name__, error)
        elif self.status not in _OVER:
            if kind is None:
                self.execution_stop()
            else:
                lifecycle.fail(self._session, self.execution_rid, f"{kind.__name__}: {error}")
        if not self._dry_run:
            self._outputs.manifest.write_mirror()
            self._hint()
        return False

    def _hint(self) -> None:
        if self.status is ExecutionStatus.Stopped and commit.has_pending(self._session, self.execution_rid):
            logger.info("Outputs of execution %s wait: call commit_output_assets().", self.execution_rid)

    def _watch_signals(self) -> None:
        """A scheduler's SIGTERM ends the block like an exception, so that the run is recorded as failed."""
        if self._dry_run or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._signals[signal.SIGTERM] = signal.signal(signal.SIGTERM, _terminated)

    def _release_signals(self) -> None:
        for number, former in self._signals.items():
            signal.signal(number, former)
        self._signals.clear()

    def execution_start(self) -> None:
        """Created to Running; raises `InvalidTransitionError` from any other status."""
        if self._dry_run:
            self._dry_status = ExecutionStatus.Running
        else:
            lifecycle.start(self._session, self.execution_rid)

    def execution_stop(self) -> None:
        """Running to Stopped; raises `InvalidTransitionError` from any other status."""
        if self._dry_run:
            self._dry_status = ExecutionStatus.Stopped
        else:
            lifecycle.stop(self._session, self.execution_rid)

    def update_status(
        self, status: ExecutionStatus | str, message: str | None = None, *, error: str | None = None
    ) -> None:
        """Set status and message, at once visible in the catalog.

        Parameters
        ----------
        status : ExecutionStatus
            The one it has, to change only the message.
        message : str, optional
            Shown as Status_Detail.
        error : str, optional
            Why it failed or was aborted.

        Raises
        ------
        InvalidTransitionError
            If the move is not allowed.

        Examples
        --------
        >>> exe.update_status(ExecutionStatus.Running, "Epoch 1/3")  # doctest: +SKIP
        """
        if self._dry_run:
            self._dry_status = ExecutionStatus(status)
        else:
            lifecycle.update_status(self._session, self.execution_rid, status, message, error=error)

    def abort(self) -> None:
        """Give up: the execution is Aborted, and nothing of it can be committed any more."""
        if not self._dry_run:
            lifecycle.abort(self._session, self.execution_rid)

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
        declared = self.datasets[spec.rid] if spec.rid in self.datasets else None
        if spec.version is None and declared is not None:
            spec = spec.model_copy(update={"version": declared.version})
        bag = download(self._session, DatasetSpec.model_validate(dict(spec)))
        if declared is None and not self._dry_run:
            registry.add_input(self._session, self.execution_rid, spec.rid, spec.version)
        return bag

    def add_input_dataset(self, dataset_rid: str, version: DatasetVersion | str | None = None) -> None:
        """Record that this execution reads a dataset; the first version recorded stays."""
        if not self._dry_run:
            registry.add_input(self._session, self.execution_rid, dataset_rid, version)

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
            Name of an existing file in the catalog.
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
        given = legacy if asset_types is None else asset_types
        types = given if given is None or isinstance(given, str) else list(given)
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
        items = (OutputFile(**item) if isinstance(item, Mapping) else OutputFile(item) for item in files)
        return self._outputs.register(asset_name, items)

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

    def add_features(self, features_: Iterable[FeatureRecord]) -> int:
        """Stage feature values; they reach the catalog with `commit_output_assets`.

        Parameters
        ----------
        features_ : iterable of FeatureRecord
            Of one feature. Asset columns take a RID, or the path of a registered output.

        Returns
        -------
        int
            Number of records.

        Raises
        ------
        ValueError
            If there are none.
        DerivaMLValidationError
            If they belong to several features, or refer to what does not exist.
        """
        return features.stage(
            self._session, self.execution_rid, self._outputs, features_, recorded=not self._dry_run
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
        """
        if self._dry_run:
            raise DerivaMLException("A dry run writes nothing to the catalog, so it cannot make a dataset.")
        made = datasets_room.create(
            self._session,
            execution_rid=self.execution_rid,
            dataset_types=dataset_types,
            version=version,
            description=description,
        )
        commit.require_input(self._session, self.execution_rid)
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

    @property
    def uploaded_assets(self) -> dict[str, list[AssetFilePath]]:
        """Committed files by ``schema/Table``, with their RIDs."""
        return {} if self._dry_run else self._outputs.uploaded()

    def pending_summary(self) -> PendingSummary:
        """What waits for the commit."""
        return summarize(self._session, self.execution_rid)

    # Nesting ---------------------------------------------------------------------------------------------------------

    def add_nested_execution(self, nested_execution: Any, sequence: int | None = None) -> None:
        """Record that another execution is part of this one; see `deriva_ml.execution.nested.add`."""
        if not self._dry_run:
            nested.add(self._session, self.execution_rid, nested_execution, sequence)

    def _recorded(self) -> str:
        if self._dry_run:
            raise DerivaMLException("A dry run is not recorded, so it has no parents and no parts.")
        return self.execution_rid

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

    def __repr__(self) -> str:
        return f"<Execution {self.execution_rid} {self.status}>"

    def _repr_html_(self) -> str:
        description = html.escape(self.configuration.description)
        return f"<p>Execution <b>{self.execution_rid}</b> ({self.status}): {description}</p>"


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(f"ended by signal {signal.Signals(number).name}")


def _reloaded(session: Session, execution_rid: str, given: ExecutionConfiguration | None) -> create.Created:
    state = lifecycle.resume(session, execution_rid)
    configuration = given or ExecutionConfiguration.model_validate_json(state.config_json)
    workflow = configuration.workflow
    if workflow is not None and not isinstance(workflow, Workflow):
        values = workflow.model_dump() | {"workflow_rid": state.workflow_rid}
        configuration = configuration.model_copy(update={"workflow": Workflow.model_validate(values)})
    session.workspace.manifest_of(execution_rid).write_mirror()
    found = inputs.remembered(session, execution_rid)
    return create.Created(execution_rid, configuration, None, found)


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
    DerivaMLException
        If it was not run with this working directory.
    DerivaMLStateInconsistency
        If its states here and in the catalog contradict each other.
    """
    return Execution(None, session, reload=execution_rid)
