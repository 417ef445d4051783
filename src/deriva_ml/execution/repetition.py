"""A run that repeats an earlier one: what the program that started it says of that one, and hears of this one.

Both stand in one file, a JSON document per line, named by ``DERIVA_ML_REPETITION``: the first line is a `Repetition`, and
every execution that is created meanwhile adds a `Repeated`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml import settings
from deriva_ml.errors import DerivaMLConfigurationError
from deriva_ml.names import DatasetVersion
from deriva_ml.specs import DatasetSpec, ExecutionConfiguration, WorkflowSpec

if TYPE_CHECKING:
    from deriva_ml.session import Session

VARIABLE = "DERIVA_ML_REPETITION"

_SAYS_SO = re.compile(r"^(?:Reproduction of [0-9A-Z-]+(?:: |$))+")


@dataclass(frozen=True)
class Repetition:
    """The execution that is to be repeated.

    Parameters
    ----------
    execution_rid : str
    workflow_name : str
    workflow_checksum : str, optional
        An execution of this workflow is the one that repeats it; others are made beside it.
    datasets : dict
        Version that was read, by RID.
    folder : str, optional
        Where it ran.
    description : str
        Without what says that it repeats another one.
    """

    execution_rid: str
    workflow_name: str
    workflow_checksum: str | None = None
    datasets: dict[str, str] = field(default_factory=dict)
    folder: str | None = None
    description: str = ""

    def is_of(self, workflow: WorkflowSpec | None) -> bool:
        """Whether a workflow is that of the execution."""
        if workflow is None or workflow.name != self.workflow_name:
            return False
        return (workflow.checksum or None) == (self.workflow_checksum or None)


@dataclass(frozen=True)
class Repeated:
    """An execution that was created while another one is repeated.

    Parameters
    ----------
    hostname, catalog_id, execution_rid : str
    repeats : bool
        Whether it is of the same workflow.
    """

    hostname: str
    catalog_id: str
    execution_rid: str
    repeats: bool


def begin(file: Path, repetition: Repetition) -> None:
    """Write the file that the variable is to name."""
    file.write_text(json.dumps(dataclasses.asdict(repetition)) + "\n", encoding="utf-8")


def created(file: Path) -> list[Repeated]:
    """Executions that were created meanwhile, in their order."""
    return [Repeated(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()[1:]]


def current() -> Repetition | None:
    """What this process repeats, None where it runs for the first time.

    Raises
    ------
    DerivaMLConfigurationError
        If the variable names no such file.
    """
    name = settings.text(VARIABLE)
    if name is None:
        return None
    try:
        with Path(name).open(encoding="utf-8") as file:
            return Repetition(**json.loads(file.readline()))
    except (OSError, ValueError, TypeError) as error:
        raise DerivaMLConfigurationError(
            f"{VARIABLE} names {name!r}, which `deriva-ml reproduce` did not write ({error}); unset it."
        ) from error


def pinned(configuration: ExecutionConfiguration) -> ExecutionConfiguration:
    """The configuration with the versions that were read then, where it names none, and a description that says so.

    Of several executions of the workflow only those are described so that have the description of the earlier one.
    """
    repetition = current()
    if repetition is None or not repetition.is_of(configuration.workflow):
        return configuration
    datasets = [_at_version(spec, repetition) for spec in configuration.datasets]
    about = configuration.description
    if own_description(about) == repetition.description:
        about = described(repetition.execution_rid, about)
    return configuration.model_copy(update={"datasets": datasets, "description": about})


def pinned_dataset(spec: DatasetSpec, workflow: WorkflowSpec | None) -> DatasetSpec:
    """A dataset that an execution of a workflow asks for, in the version that was read then, where it names none."""
    repetition = current()
    return spec if repetition is None or not repetition.is_of(workflow) else _at_version(spec, repetition)


def _at_version(spec: DatasetSpec, repetition: Repetition) -> DatasetSpec:
    if spec.version is not None or spec.rid not in repetition.datasets:
        return spec
    return spec.model_copy(update={"version": DatasetVersion.parse(repetition.datasets[spec.rid])})


def local_file(path: Path) -> Path:
    """Where a file on this disk is; one that is not in the repository is read where the earlier run read it."""
    here = path.expanduser().absolute()
    if here.exists():
        return here
    repetition = current()
    there = Path(repetition.folder, path.expanduser()) if repetition and repetition.folder else here
    return there if there.is_file() else here


def described(execution_rid: str, description: str | None) -> str:
    """Description of an execution that repeats another one."""
    return f"Reproduction of {execution_rid}: {description or ''}".rstrip(": ")


def own_description(description: str | None) -> str:
    """A description without what says that an execution repeats another one.

    Examples
    --------
    >>> own_description("Reproduction of 1-AB: seed 7")
    'seed 7'
    """
    return _SAYS_SO.sub("", description or "")


def tell(session: Session, execution_rid: str, configuration: ExecutionConfiguration) -> None:
    """Add an execution to the file, if there is one."""
    repetition = current()
    if repetition is None:
        return
    connection = session.connection
    host = str(connection.site.address.folder or connection.host)
    made = Repeated(host, str(connection.catalog_id), execution_rid, repetition.is_of(configuration.workflow))
    # One write at the end of the file, so that lines of several processes stay whole.
    with Path(os.environ[VARIABLE].strip()).open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(made)) + "\n")
