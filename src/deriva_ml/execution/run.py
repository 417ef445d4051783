"""The state of a run: recorded or taken up again, started, stopped, failed, aborted."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from deriva_ml import markup
from deriva_ml.citation import upload_command
from deriva_ml.errors import DerivaMLException, DerivaMLStateInconsistency, DerivaMLValidationError
from deriva_ml.execution import commit, create, inputs, lifecycle, signals
from deriva_ml.execution.execution_record import ExecutionRecord
from deriva_ml.execution.inputs import InputDataset, InputDatasets
from deriva_ml.execution.lock import locked
from deriva_ml.execution.outputs import Outputs
from deriva_ml.execution.sync import push, required_state, row_of
from deriva_ml.interrupts import held
from deriva_ml.names import ConnectionMode, ExecutionStatus, is_rid
from deriva_ml.session import session_of
from deriva_ml.specs import ExecutionConfiguration, WorkflowSpec
from deriva_ml.workflow.workflow import Workflow
from deriva_ml.workspace.executions import ExecutionState

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)


class Run:
    """The state of a run, and its time: what `Execution` adds inputs and outputs to.

    Parameters
    ----------
    configuration : ExecutionConfiguration
    ml_object : DerivaML
    workflow : Workflow, optional
    reload : str, optional
    dry_run : bool
        As of `deriva_ml.execution.execution.Execution`.
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
        self._entered_by: int | None = None
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
        self.datasets = InputDatasets(
            [InputDataset.of(session, spec, self.execution_rid) for spec in declared]
        )
        self._outputs = Outputs(session, self.execution_rid, recorded=not dry_run)

    @classmethod
    def from_registry(cls, *, ml_object: Any, execution_rid: str) -> Self:
        """Take up an execution of this machine again; see `resume_execution`."""
        if not is_rid(execution_rid):
            raise DerivaMLValidationError(f"{execution_rid!r} is not the RID of an execution.")
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
        """The record in the catalog, with the status that this machine knows; None after a resume and in a dry run."""
        state = self._session.workspace.executions.get(self.execution_rid)
        if self._record is not None and state is not None:
            self._record.renew(row_of(state))
        return self._record

    @property
    def catalog(self) -> Any:
        """The catalog that the execution is recorded in."""
        return self._ml_object

    @property
    def database_catalog(self) -> Any:
        """The bag of the first declared dataset as a catalog of its own, None without datasets."""
        return self.datasets[0].bag.catalog if self.datasets else None

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
        self._entered_by = os.getpid()
        if self._dry_run:
            self.execution_start()
            return self
        try:
            signals.entered(self)
            self.execution_start()
        except BaseException as error:
            with signals.leaving(self, error), held():
                # What interrupts a start may leave it started; whose start is refused was not begun here.
                if not isinstance(error, Exception) and self._state.is_mine:
                    self.record_end(lifecycle.reason_of(error))
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if self._entered_by not in (None, os.getpid()):
            # A forked child leaves the block; the run goes on in the process that entered it.
            return False
        if self._dry_run:
            self._dry_status = ExecutionStatus.Stopped if error is None else ExecutionStatus.Failed
            if error is not None:
                logger.error("The dry run ended with %s", lifecycle.reason_of(error))
            return False
        with signals.leaving(self, error):
            with held():
                news = self.record_end(_reason(error))
                self._outputs.manifest.write_mirror()
            if news:
                signals.tell(partial(push, self._session, self.execution_rid))
            self._hint(signals.ended_by(error))
        return False

    def record_end(self, reason: str | None) -> bool:
        """Note on this machine that the run is over: failed for a reason, else stopped; False when it was over before."""
        if self.status is not ExecutionStatus.Running:
            return False
        self._outputs.let_last()
        if reason is None:
            lifecycle.stop(self._session, self.execution_rid, send=False)
        else:
            lifecycle.fail(self._session, self.execution_rid, reason)
        return True

    def _hint(self, end: signals.Terminated | None) -> None:
        rid = self.execution_rid
        if not commit.has_pending(self._session, rid):
            return
        if self.status is ExecutionStatus.Stopped:
            logger.info("Outputs of execution %s wait: call commit_output_assets().", rid)
        elif end is not None:
            # The process ends without a chance to tell it in another way.
            logger.warning(
                "Execution %s was %s. What it had made is kept on this machine. To commit it all the same: %s",
                *(rid, end, upload_command(self._session, rid)),
            )

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
            self._outputs.let_last()
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

    def _recorded(self) -> str:
        if self._dry_run:
            raise DerivaMLException("A dry run is not recorded, so it has no parents and no parts.")
        return self.execution_rid

    def __repr__(self) -> str:
        return f"<Execution {self.execution_rid} {self.status}: {self.configuration.description}>"

    def _repr_html_(self) -> str:
        workflow = self.configuration.workflow
        facts = {
            "Execution": self.execution_rid,
            "Status": self.status,
            "Description": self.configuration.description,
            "Workflow": workflow.name if workflow is not None else None,
        }
        return markup.facts(facts)


def _reason(error: BaseException | None) -> str | None:
    if error is None:
        return None
    end = signals.ended_by(error)
    return lifecycle.reason_of(error) + (f" ({end})" if end not in {None, error} else "")


def _reloaded(session: Session, execution_rid: str, given: ExecutionConfiguration | None) -> create.Created:
    state = lifecycle.resume(session, execution_rid)
    configuration = given or ExecutionConfiguration.model_validate_json(state.config_json)
    workflow = configuration.workflow
    if workflow is not None and not isinstance(workflow, Workflow):
        values = workflow.model_dump() | {"workflow_rid": state.workflow_rid}
        configuration = configuration.model_copy(update={"workflow": Workflow.model_validate(values)})
    if not state.prepared and session.mode is ConnectionMode.online:
        with locked(session, execution_rid, "resume"):
            if not required_state(session, execution_rid).prepared:
                return create.prepare_again(session, execution_rid, configuration)
    session.workspace.manifest_of(execution_rid).write_mirror()
    found = inputs.remembered(session, execution_rid)
    return create.Created(execution_rid, configuration, None, found)
