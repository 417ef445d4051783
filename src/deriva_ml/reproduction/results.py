"""What an execution made, in a form that can be compared with another one's, of another catalog too."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest.listing import snapshot_at
from deriva_ml.ermrest.metrics import parse
from deriva_ml.names import DatasetVersion, ExecMetadataType, ExecutionStatus, MLTable
from deriva_ml.reproduction import compare
from deriva_ml.reproduction.compare import Compared, File
from deriva_ml.reproduction.recorded import outputs_of

if TYPE_CHECKING:
    from deriva_ml.asset.asset import Asset
    from deriva_ml.ml import DerivaML

_OF_THE_RUN = {"Execution", "Feature_Name", "RCT", "RID"}


@dataclass
class Results:
    """What an execution made.

    Parameters
    ----------
    files : list of File
    features : dict
        Values by ``Table.Feature``.
    datasets : dict
        Members by types and description.
    """

    files: list[File] = field(default_factory=list)
    features: dict[str, dict[Hashable, dict[str, Any]]] = field(default_factory=dict)
    datasets: dict[str, list[Hashable]] = field(default_factory=dict)


def results_of(ml: DerivaML, execution_rid: str) -> Results:
    """Everything that an execution made.

    RIDs of files that it made stand for their name and content, because a repetition gives them other RIDs.
    """
    assets = outputs_of(ml, execution_rid)
    known = {asset.asset_rid: (asset.asset_table, asset.filename, asset.md5) for asset in assets}
    return Results(
        files=[_file(asset) for asset in assets],
        features=_features(ml, execution_rid, known),
        datasets=_datasets(ml, execution_rid, known),
    )


def compared(before: Results, after: Results, tolerance: float) -> list[Compared]:
    """A verdict for each output of the first, and each that only the second has."""
    found = compare.files(before.files, after.files, tolerance)
    for name in dict.fromkeys((*before.features, *after.features)):
        old, new = before.features.get(name, {}), after.features.get(name, {})
        found.append(compare.feature(name, old, new, tolerance))
    for name in dict.fromkeys((*before.datasets, *after.datasets)):
        found.append(compare.dataset(name, before.datasets.get(name), after.datasets.get(name)))
    return found


def _file(asset: Asset) -> File:
    metrics = None
    if ExecMetadataType.metrics_file in asset.asset_types:
        with tempfile.TemporaryDirectory() as folder:
            parsed = parse(asset.download(Path(folder)), asset.filename)
        columns = parsed.values or []
        metrics = [dict(zip(parsed.names, values, strict=True)) for values in zip(*columns, strict=True)]
    return File(asset.asset_table, asset.filename, asset.md5, asset.length, metrics)


def _features(
    ml: DerivaML, execution_rid: str, known: dict[str, Any]
) -> dict[str, dict[Hashable, dict[str, Any]]]:
    found = {}
    for feature in ml.find_features():
        target = feature.target_table.name
        values: dict[Hashable, dict[str, Any]] = {}
        for record in ml.feature_values(target, feature.feature_name, execution_rids=[execution_rid]):
            row = {
                name: known.get(value, value) if isinstance(value, str) else value for name, value in record
            }
            keys = [row.pop(name) for name in (target, *feature.qualifier_columns)]
            values[tuple(keys) if len(keys) > 1 else keys[0]] = {
                name: value for name, value in row.items() if name not in _OF_THE_RUN
            }
        if values:
            found[f"{target}.{feature.feature_name}"] = values
    return found


def _end(ml: DerivaML, execution_rid: str, made: Iterable[Mapping[str, Any]]) -> str | None:
    """Snapshot at the end of an execution, its last change of a dataset included; None for one that has not ended."""
    executions = ml.pathBuilder().schemas[ml.ml_schema].tables[MLTable.execution]
    (row,) = executions.filter(execution_rid == executions.RID).entities().fetch()
    if row["Status"] in (ExecutionStatus.Created, ExecutionStatus.Running):
        return None
    own = [each["RMT"] for each in made if DatasetVersion.parse(each["Version"]).is_devrelease]
    return snapshot_at(max(map(datetime.fromisoformat, (row["RMT"], *own))))


def _latest(made: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """Last version of each dataset of an execution; None, which is what it left, where that was not released."""
    versions: dict[str, list[DatasetVersion]] = defaultdict(list)
    for row in made:
        versions[row["Dataset"]].append(DatasetVersion.parse(row["Version"]))
    latest = {rid: max(several) for rid, several in versions.items()}
    # The first one is made before there are members.
    return {
        rid: str(last) if len(versions[rid]) > 1 and not last.is_devrelease else None
        for rid, last in latest.items()
    }


def _told(description: str, made: Collection[str]) -> str:
    """A description without the RIDs of datasets of the same run: a repetition gives them others."""
    return re.sub(r"[0-9A-Z-]+", lambda found: "…" if found[0] in made else found[0], description)


def _datasets(ml: DerivaML, execution_rid: str, known: dict[str, Any]) -> dict[str, list[Hashable]]:
    versions = ml.pathBuilder().schemas[ml.ml_schema].tables[MLTable.dataset_version]
    made = list(versions.filter(versions.Execution == execution_rid).entities().fetch())
    latest = _latest(made)
    end = _end(ml, execution_rid, made) if None in latest.values() else None
    then = ml.catalog_snapshot(end) if end is not None else ml
    found: dict[str, list[Hashable]] = {}
    for rid, version in latest.items():
        dataset = ml.lookup_dataset(rid, deleted=True)
        types = ", ".join(sorted(dataset.dataset_types)) or "dataset"
        name = f"{types}: {_told(dataset.description, latest)}" if dataset.description else types
        seen = dataset if version is not None else then.lookup_dataset(rid, deleted=True)
        members = seen.list_dataset_members(version=version)
        rids = [row["RID"] for table, rows in members.items() if table != MLTable.dataset for row in rows]
        found.setdefault(name, []).extend(known.get(each, each) for each in rids)
    return found
