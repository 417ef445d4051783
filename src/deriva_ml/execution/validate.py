"""Say whether what a run declares exists, before it is run: reports that name every problem, and never raise for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.configs.scan import Scan, scan_folder
from deriva_ml.dataset import version as labels
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.rids import ResolvedRid, resolve_rids
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLRidsNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
    NoAssociationException,
)
from deriva_ml.execution import repetition
from deriva_ml.names import PLACEHOLDER_RID, DatasetVersion, MLTable, is_rid, require_list
from deriva_ml.reexport import room
from deriva_ml.specs import AssetSpec, DatasetSpec, ExecutionConfiguration, LocalFile, WorkflowSpec
from deriva_ml.workflow import workflow as workflows

if TYPE_CHECKING:
    from deriva_ml.dataset import view
    from deriva_ml.records import DatasetHistory
    from deriva_ml.rows.reader import Row
    from deriva_ml.session import Session
else:
    view = room("deriva_ml.dataset.view")

RID_NOT_FOUND = "rid_not_found"
NOT_A_DATASET = "not_a_dataset"
NOT_AN_ASSET = "not_an_asset"
NOT_A_WORKFLOW = "not_a_workflow"
VERSION_NOT_FOUND = "version_not_found"
FILE_NOT_FOUND = "file_not_found"
DATASET_DELETED = "dataset_deleted"
DUPLICATE_RID = "duplicate_rid"
VERSION_CONFLICT = "version_conflict"
ROLE_CONFLICT = "role_conflict"


class _Result:
    """What is known of one declaration."""

    reasons: list[str]

    @property
    def valid(self) -> bool:
        """Whether a run can use it."""
        return not self.reasons


@dataclass(frozen=True)
class DatasetSpecResult(_Result):
    """What is known of one declared dataset.

    Parameters
    ----------
    spec : DatasetSpec
    reasons : list of str
        Why it cannot be used: ``rid_not_found``, ``not_a_dataset``, ``version_not_found``.
    warnings : list of str
        ``dataset_deleted``: its versions can be read, but nobody should begin anything with it.
    actual_table : str, optional
        Table of the RID.
    available_versions : list of DatasetVersion
        Ascending.
    resolved_version : DatasetVersion, optional
        The version that a run would read.
    dataset_name : str, optional
        Its description, by which people know it.
    """

    spec: DatasetSpec
    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    actual_table: str | None = None
    available_versions: list[DatasetVersion] = field(default_factory=list)
    resolved_version: DatasetVersion | None = None
    dataset_name: str | None = None

    def __str__(self) -> str:
        wanted = f"{self.spec.rid}@{self.spec.version}" if self.spec.version else self.spec.rid
        known = ", ".join(map(str, self.available_versions))
        notes = {
            NOT_A_DATASET: f"it is a row of {self.actual_table}",
            VERSION_NOT_FOUND: f"there are {known or 'none'}",
            **_placeholder(self.spec.rid),
        }
        return _line(f"dataset {wanted}", [*self.reasons, *self.warnings], notes)


@dataclass(frozen=True)
class AssetSpecResult(_Result):
    """What is known of one declared file: an asset of the catalog, or a file on this disk.

    Parameters
    ----------
    spec : AssetSpec or LocalFile
    reasons : list of str
        ``rid_not_found``, ``not_an_asset``, ``file_not_found``.
    actual_table : str, optional
        Table of the RID.
    """

    spec: AssetSpec | LocalFile
    reasons: list[str] = field(default_factory=list)
    actual_table: str | None = None

    def __str__(self) -> str:
        if isinstance(self.spec, LocalFile):
            return _line(f"file {self.spec.path}", self.reasons, {})
        notes = {NOT_AN_ASSET: f"it is a row of {self.actual_table}", **_placeholder(self.spec.rid)}
        return _line(f"asset {self.spec.rid}", self.reasons, notes)


@dataclass(frozen=True)
class WorkflowResult(_Result):
    """What is known of the declared workflow; one without a RID is registered by the run, so that nothing is asked.

    Parameters
    ----------
    workflow : WorkflowSpec
    reasons : list of str
        ``rid_not_found``, ``not_a_workflow``.
    actual_table : str, optional
        Table of the RID.
    """

    workflow: WorkflowSpec
    reasons: list[str] = field(default_factory=list)
    actual_table: str | None = None

    def __str__(self) -> str:
        name = f"workflow {self.workflow.workflow_rid or self.workflow.name}"
        return _line(name, self.reasons, {NOT_A_WORKFLOW: f"it is a row of {self.actual_table}"})


@dataclass(frozen=True)
class CrossSpecIssue:
    """What is wrong with declarations together: ``duplicate_rid``, ``version_conflict`` or ``role_conflict``."""

    issue: str
    rid: str

    def __str__(self) -> str:
        said = {
            DUPLICATE_RID: "is declared more than once",
            VERSION_CONFLICT: "is declared in several versions; a run can read one",
            ROLE_CONFLICT: "is declared as a dataset and as an asset",
        }
        return f"{self.rid}: {self.issue}, it {said[self.issue]}"


@dataclass(frozen=True)
class DatasetValidationReport:
    """Result of `validate_dataset_specs`, in the order of the specifications."""

    results: list[DatasetSpecResult]

    @property
    def all_valid(self) -> bool:
        """Whether all of them can be read."""
        return all(result.valid for result in self.results)

    def __str__(self) -> str:
        return _report(self.results)


@dataclass(frozen=True)
class ExecutionValidationReport:
    """Result of `validate_execution_configuration`, each part in the order of the configuration."""

    dataset_results: list[DatasetSpecResult]
    asset_results: list[AssetSpecResult]
    workflow_result: WorkflowResult | None
    cross_spec_issues: list[CrossSpecIssue]

    @property
    def all_valid(self) -> bool:
        """Whether a run with this configuration can begin."""
        workflow = self.workflow_result is None or self.workflow_result.valid
        datasets = all(result.valid for result in self.dataset_results)
        assets = all(result.valid for result in self.asset_results)
        return workflow and datasets and assets and not self.cross_spec_issues

    def __str__(self) -> str:
        workflow = [self.workflow_result] if self.workflow_result is not None else []
        return _report([*self.dataset_results, *self.asset_results, *workflow, *self.cross_spec_issues])


@dataclass(frozen=True)
class ConfigResult:
    """What is known of a declaration in a file of configurations: its place (``file:line``) and the result."""

    place: str
    result: DatasetSpecResult | AssetSpecResult

    def __str__(self) -> str:
        return f"{self.place}: {self.result}"


@dataclass(frozen=True)
class ConfigValidationReport:
    """Result of `validate_config_file` and `validate_config_directory`, in the order of files and lines.

    Parameters
    ----------
    results : list of ConfigResult
        Of each dataset, asset and local file that is declared with values that can be read.
    problems : list of str
        What no run could use, whatever is in the catalog, such as a file that is no Python.
    unread : list of str
        Declarations whose values only a run knows; they are not checked.
    """

    results: list[ConfigResult]
    problems: list[str]
    unread: list[str]

    @property
    def all_valid(self) -> bool:
        """Whether all that could be read can be used."""
        return not self.problems and all(found.result.valid for found in self.results)

    def __str__(self) -> str:
        return _report([*self.problems, *self.results, *self.unread])


def _placeholder(rid: str) -> dict[str, str]:
    if rid != PLACEHOLDER_RID:
        return {}
    return {RID_NOT_FOUND: "a placeholder; put a RID of this catalog in its place"}


def _line(name: str, said: Sequence[str], notes: dict[str, str]) -> str:
    texts = [f"{reason} ({notes[reason]})" if reason in notes else reason for reason in said]
    return f"{name}: {', '.join(texts) or 'ok'}"


def _report(lines: Sequence[object]) -> str:
    return "\n".join(map(str, lines)) or "Nothing is declared."


def validate_dataset_specs(session: Session, specs: Iterable[DatasetSpec | str]) -> DatasetValidationReport:
    """Say of datasets whether a run could read them; only metadata is asked for.

    Parameters
    ----------
    session : Session
    specs : iterable of DatasetSpec or str

    Returns
    -------
    DatasetValidationReport

    Examples
    --------
    >>> print(ml.validate_dataset_specs(["1-ABC@2.1.0"]))  # doctest: +SKIP
    dataset 1-ABC@2.1.0: version_not_found (there are 0.1.0, 0.2.0)
    """
    listed = require_list("specs", specs)
    wanted = [DatasetSpec.from_shorthand(spec) if isinstance(spec, str) else spec for spec in listed]
    return DatasetValidationReport(_datasets(session, wanted, _found(session, [spec.rid for spec in wanted])))


def validate_execution_configuration(
    session: Session, config: ExecutionConfiguration
) -> ExecutionValidationReport:
    """Say of everything that a configuration declares whether a run could use it; only metadata is asked for.

    Parameters
    ----------
    session : Session
    config : ExecutionConfiguration

    Returns
    -------
    ExecutionValidationReport

    Examples
    --------
    >>> ml.validate_execution_configuration(config).all_valid  # doctest: +SKIP
    True
    """
    if not isinstance(config, ExecutionConfiguration):
        raise DerivaMLValidationError(f"{config!r} is no ExecutionConfiguration.")
    assets = [item.rid for item in config.assets if isinstance(item, AssetSpec)]
    workflow = config.workflow.workflow_rid if config.workflow is not None else None
    rids = [*(spec.rid for spec in config.datasets), *assets, *([workflow] if workflow else [])]
    found = _found(session, rids)
    return ExecutionValidationReport(
        _datasets(session, config.datasets, found),
        [_asset(session, item, found) for item in config.assets],
        _workflow(session, config.workflow, found) if config.workflow is not None else None,
        _issues(config.datasets, assets),
    )


def validate_config_file(session: Session, path: str | Path) -> ConfigValidationReport:
    """Say of the inputs that a Python file of configurations declares whether a run could use them.

    Inputs are datasets, assets and local files. The file is read, not run. Paths of local files are those of a run in the present folder.

    Parameters
    ----------
    session : Session
    path : str or Path

    Returns
    -------
    ConfigValidationReport

    Raises
    ------
    DerivaMLValidationError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> print(ml.validate_config_file("src/configs/datasets.py"))  # doctest: +SKIP
    src/configs/datasets.py:9: dataset 1-ABC@2.1.0: version_not_found (there are 0.1.0, 0.2.0)
    """
    scan = Scan()
    scan.read(Path(path))
    return _of_files(session, scan)


def validate_config_directory(
    session: Session, dir: str | Path, *, recursive: bool = True
) -> ConfigValidationReport:
    """Say the same as `validate_config_file` of all Python files of a folder.

    Parameters
    ----------
    session : Session
    dir : str or Path
    recursive : bool
        Whether folders in it are read too.

    Returns
    -------
    ConfigValidationReport

    Raises
    ------
    DerivaMLValidationError
        If there is no such folder, no Python file in it, or one that cannot be read.
    """
    return _of_files(session, scan_folder(Path(dir), recursive))


def _of_files(session: Session, scan: Scan) -> ConfigValidationReport:
    found = _found(session, [each.spec.rid for each in scan.declared if not isinstance(each.spec, LocalFile)])
    datasets = [each.spec for each in scan.declared if isinstance(each.spec, DatasetSpec)]
    checked = iter(_datasets(session, datasets, found))
    results: list[ConfigResult] = []
    for each in scan.declared:
        spec = each.spec
        known = next(checked) if isinstance(spec, DatasetSpec) else _asset(session, spec, found)
        results.append(ConfigResult(each.place, known))
    return ConfigValidationReport(results, scan.problems, scan.unread)


def _found(session: Session, rids: Collection[str]) -> dict[str, ResolvedRid]:
    """Where RIDs are; those that are nowhere are left out."""
    wanted = {rid for rid in rids if is_rid(rid)}
    try:
        return resolve_rids(session.connection, session.model, wanted)
    except DerivaMLRidsNotFound as error:
        return _found(session, wanted.difference(error.missing_rids))


def _datasets(
    session: Session, specs: Sequence[DatasetSpec], found: dict[str, ResolvedRid]
) -> list[DatasetSpecResult]:
    table = session.model.ml_table(MLTable.dataset)
    rids = {spec.rid for spec in specs if spec.rid in found and found[spec.rid].table is table}
    known = (
        {row["RID"]: row for row in rows.read(session.connection, table, where={"RID": rids})} if rids else {}
    )
    entries = view.history(session.reader, rids) if rids else []
    return [_dataset(spec, found.get(spec.rid), known.get(spec.rid), entries) for spec in specs]


def _dataset(
    spec: DatasetSpec,
    place: ResolvedRid | None,
    row: Row | None,
    entries: Sequence[DatasetHistory],
) -> DatasetSpecResult:
    if place is None or row is None:
        reason = RID_NOT_FOUND if place is None else NOT_A_DATASET
        return DatasetSpecResult(spec, [reason], actual_table=place.table_name if place else None)
    available = [entry.dataset_version for entry in entries if entry.dataset_rid == spec.rid]
    try:
        chosen, reasons = labels.choose(available, spec.version, spec.rid), []
    except DerivaMLException:
        chosen, reasons = None, [VERSION_NOT_FOUND]
    return DatasetSpecResult(
        spec,
        reasons,
        [DATASET_DELETED] if row["Deleted"] else [],
        place.table_name,
        available,
        chosen,
        row["Description"],
    )


def _asset(session: Session, spec: AssetSpec | LocalFile, found: dict[str, ResolvedRid]) -> AssetSpecResult:
    if isinstance(spec, LocalFile):
        return AssetSpecResult(spec, [] if repetition.local_file(spec.path).is_file() else [FILE_NOT_FOUND])
    place = found.get(spec.rid)
    if place is None:
        return AssetSpecResult(spec, [RID_NOT_FOUND])
    try:
        session.model.asset_executions(place.table)
    except (DerivaMLTableTypeError, NoAssociationException):
        return AssetSpecResult(spec, [NOT_AN_ASSET], place.table_name)
    return AssetSpecResult(spec, [], place.table_name)


def _workflow(session: Session, spec: WorkflowSpec, found: dict[str, ResolvedRid]) -> WorkflowResult:
    if spec.workflow_rid is None or workflows.is_of_another(session, spec):
        return WorkflowResult(spec)
    place = found.get(spec.workflow_rid)
    if place is None:
        return WorkflowResult(spec, [RID_NOT_FOUND])
    reasons = [] if place.table is session.model.ml_table(MLTable.workflow) else [NOT_A_WORKFLOW]
    return WorkflowResult(spec, reasons, place.table_name)


def _issues(datasets: Sequence[DatasetSpec], assets: Sequence[str]) -> list[CrossSpecIssue]:
    versions: dict[str, set[DatasetVersion | None]] = {}
    for spec in datasets:
        versions.setdefault(spec.rid, set()).add(spec.version)
    declared = Counter(spec.rid for spec in datasets)
    issues = [
        CrossSpecIssue(VERSION_CONFLICT if len(versions[rid]) > 1 else DUPLICATE_RID, rid)
        for rid, times in declared.items()
        if times > 1
    ]
    issues += [CrossSpecIssue(DUPLICATE_RID, rid) for rid, times in Counter(assets).items() if times > 1]
    return issues + [CrossSpecIssue(ROLE_CONFLICT, rid) for rid in declared if rid in set(assets)]
