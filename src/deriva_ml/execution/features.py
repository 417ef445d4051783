"""Feature rows of an execution: checked, and staged on this machine until they are committed."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import vocabulary
from deriva_ml.bag.load import matching_rows
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.execution.outputs import ASSET_MARK, Outputs
from deriva_ml.execution.sync import require_open
from deriva_ml.feature.record import EXECUTION, FEATURE_NAME, Feature, FeatureRecord
from deriva_ml.names import ConnectionMode, is_rid
from deriva_ml.rows.reader import Row

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)


def stage(
    session: Session,
    execution_rid: str,
    outputs: Outputs,
    records: Iterable[FeatureRecord],
    *,
    recorded: bool = True,
) -> int:
    """Check feature records and keep them for the commit, all or none.

    Parameters
    ----------
    session : Session
    execution_rid : str
    outputs : Outputs
        Where paths in asset columns are registered.
    records : iterable of FeatureRecord
        Of one feature.
    recorded : bool
        False in a dry run: records are only checked.

    Returns
    -------
    int
        Number of values that are staged: of several records for one row the last one counts.

    Raises
    ------
    DerivaMLValidationError
        If there are no records, or they belong to several features or to another execution, or refer to rows, terms or files that are not
        there.
    """
    # A record is an iterable of its fields, too.
    several: bool = isinstance(records, Iterable) and not hasattr(records, "model_fields_set")
    if not several:
        raise DerivaMLValidationError(f"add_features() takes a list of records, not {records!r}.")
    given = list(records)
    if not given:
        raise DerivaMLValidationError("add_features() needs at least one record.")
    feature = _common_feature(given)
    # The caller's own model may be older than the feature; ours decides about columns and references.
    rows = [_row(record, execution_rid) for record in given]
    _check_terms(session, feature, rows)
    _refer_to_outputs(feature, outputs, rows)
    _check_references(session, feature, rows)
    staged = _keyed(feature, rows)
    if len(staged) < len(rows):
        _warn_of_repeated(feature, rows)
    if recorded:
        require_open(session, execution_rid, f"add values of {feature.feature_name}")
        table = feature.feature_table
        session.workspace.features.stage(
            execution_rid,
            feature_table=f"{table.schema.name}.{table.name}",
            feature_name=feature.feature_name,
            target_table=feature.target_table.name,
            records=staged,
        )
    return len(staged)


def _common_feature(records: Sequence[FeatureRecord]) -> Feature:
    found: dict[tuple[str, str], Feature] = {}
    for record in records:
        feature = type(record).feature if isinstance(record, FeatureRecord) else None
        if feature is None:
            raise DerivaMLValidationError(
                f"{record!r} is no feature record; make records with the class that feature_record_class() gives."
            )
        found[feature.feature_table.schema.name, feature.feature_table.name] = feature
    if len(found) > 1:
        names = sorted(f"{feature.target_table.name}:{feature.feature_name}" for feature in found.values())
        raise DerivaMLValidationError(
            f"These records belong to several features ({', '.join(names)}); call add_features() once for each."
        )
    return next(iter(found.values()))


def _row(record: FeatureRecord, execution_rid: str) -> Row:
    row = record.to_row()
    row.pop("RCT", None)
    if row.get(EXECUTION) not in {None, execution_rid}:
        raise DerivaMLValidationError(
            f"A record names execution {row[EXECUTION]!r}, but it is added to {execution_rid!r}; leave Execution out."
        )
    return {**row, EXECUTION: execution_rid}


def _keyed(feature: Feature, rows: Iterable[Row]) -> dict[str, str]:
    """JSON of each row by what makes it unique within the execution; a later row replaces an earlier one."""
    return {_key(feature, row): json.dumps(row, ensure_ascii=False, default=str) for row in rows}


def _key(feature: Feature, row: Row) -> str:
    columns = (feature.target_column, FEATURE_NAME, *feature.qualifier_columns)
    return json.dumps([row.get(column) for column in columns])


def _warn_of_repeated(feature: Feature, rows: Sequence[Row]) -> None:
    """An execution gives one value per row, so one call with several of them is hardly meant."""
    count = Counter(_key(feature, row) for row in rows)
    targets = [str(row[feature.target_column]) for row in rows if count[_key(feature, row)] > 1]
    shown = list(dict.fromkeys(targets))
    logger.warning(
        "%s: %d of %d records are for the same rows of %s (%s%s). An execution gives one value per row: of these, the last one is kept.",
        feature.feature_name,
        len(targets),
        len(rows),
        feature.target_table.name,
        ", ".join(shown[:3]),
        ", …" if len(shown) > 3 else "",
    )


def _check_terms(session: Session, feature: Feature, rows: Iterable[Row]) -> None:
    """Every term must be known; a synonym is replaced by the term's name."""
    for key in feature.feature_table.foreign_keys:
        column = next(iter(key.foreign_key_columns)).name
        if column in {EXECUTION, FEATURE_NAME} or not session.model.is_vocabulary(key.pk_table):
            continue
        names = {
            name: vocabulary.lookup_term(session, key.pk_table, name).name for name in _values(rows, column)
        }
        for row in rows:
            if row.get(column) is not None:
                row[column] = names[row[column]]


def _refer_to_outputs(feature: Feature, outputs: Outputs, rows: Sequence[Row]) -> None:
    """Paths of registered files become marks that the commit replaces by RIDs."""
    marked: list[tuple[Row, str, str, str]] = []
    for key in feature.feature_table.foreign_keys:
        column = next(iter(key.foreign_key_columns)).name
        for row in rows:
            value = row.get(column)
            if not isinstance(value, str | Path) or is_rid(str(value)):
                continue
            name = outputs.key_of(Path(value))
            if name is None or not name.startswith(f"{key.pk_table.name}/"):
                if _is_asset_column(feature, column) or column == feature.target_column:
                    raise DerivaMLValidationError(_not_an_output(value, column, key.pk_table.name))
                continue
            marked.append((row, column, name, key.pk_table.name))
    known = outputs.manifest.known({name for _, _, name, _ in marked}) if marked else set()
    for row, column, name, table in marked:
        if name not in known:
            raise DerivaMLValidationError(_not_an_output(row[column], column, table))
        row[column] = {ASSET_MARK: name}


def _is_asset_column(feature: Feature, column: str) -> bool:
    return column in {found.name for found in feature.asset_columns}


def _not_an_output(value: Any, column: str, table: str) -> str:
    return (
        f"{column} cannot be {str(value)!r}: it is neither the RID of a row of {table} nor the path of an output that was "
        f"registered with asset_file_path({table!r}, ...)."
    )


def _check_references(session: Session, feature: Feature, rows: Sequence[Row]) -> None:
    """Every RID must be that of a row of the right table."""
    if session.mode == ConnectionMode.offline:
        return
    for key in feature.feature_table.foreign_keys:
        column = next(iter(key.foreign_key_columns)).name
        referred = next(iter(key.referenced_columns)).name
        if column in {EXECUTION, FEATURE_NAME} or referred != "RID":
            continue
        wanted = _values(rows, column)
        if not wanted:
            continue
        found = {
            row["RID"] for row in matching_rows(session.connection, key.pk_table, "RID", wanted, ("RID",))
        }
        missing = sorted(wanted - found)
        if missing:
            raise DerivaMLValidationError(
                f"{len(missing)} of the values of {column} are not RIDs of rows of {key.pk_table.name}:"
                f" {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}. Nothing was staged."
            )


def _values(rows: Iterable[Row], column: str) -> set[str]:
    return {row[column] for row in rows if isinstance(row.get(column), str)}
