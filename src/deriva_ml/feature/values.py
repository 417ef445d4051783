"""Reading the values of a feature, from a catalog or a bag."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from deriva_ml import arguments
from deriva_ml.errors import DerivaMLMaterializeLimitExceeded
from deriva_ml.feature.record import EXECUTION, FEATURE_NAME, Feature, FeatureRecord
from deriva_ml.feature.select import Selector, reduce_with_selector
from deriva_ml.names import require_list, require_number

if TYPE_CHECKING:
    from deriva_ml.rows.reader import Reader


def feature_values(
    reader: Reader,
    feature: Feature,
    selector: Selector[Any] | None = None,
    materialize_limit: int | None = None,
    execution_rids: Collection[str] | None = None,
    *,
    targets: Collection[str] | None = None,
) -> Iterator[FeatureRecord]:
    """Read the values of a feature.

    Without a selector the records are streamed, never all in memory; a selector needs all records of a target and so
    reads everything before the first result.

    Parameters
    ----------
    reader : Reader
        The catalog or bag to read.
    feature : Feature
        A feature of the reader's model.
    selector : callable, optional
        Chooses one of the records of each target, see `deriva_ml.feature.select`.
    materialize_limit : int, optional
        Largest number of records to read.
    execution_rids : collection of str, optional
        Only records written by these executions; none of them: no records.
    targets : collection of str, optional
        Only records of these rows.

    Yields
    ------
    FeatureRecord

    Raises
    ------
    DerivaMLMaterializeLimitExceeded
        If there are more records than `materialize_limit`.
    DerivaMLValidationError
        If an argument is not of its kind; at once, not with the first record.
    """
    arguments.function("selector", selector, "a function that chooses one of a list of records")
    if materialize_limit is not None:
        require_number("materialize_limit", materialize_limit, least=0)
    where: dict[str, Collection[Any]] = {FEATURE_NAME: [feature.feature_name]}
    if execution_rids is not None:
        where[EXECUTION] = require_list("execution_rids", execution_rids)
    if targets is not None:
        where[feature.target_column] = list(targets)
    return _read(reader, feature, where, selector, materialize_limit)


def _read(
    reader: Reader,
    feature: Feature,
    where: dict[str, Collection[Any]],
    selector: Selector[Any] | None,
    materialize_limit: int | None,
) -> Iterator[FeatureRecord]:
    if not all(where.values()):
        return
    if materialize_limit is not None:
        actual = reader.count(feature.feature_table, where=where)
        if actual > materialize_limit:
            raise DerivaMLMaterializeLimitExceeded(actual, materialize_limit)
    fields = {
        field.alias or name: name for name, field in feature.feature_record_class().model_fields.items()
    }
    rows = reader.rows(feature.feature_table, where=where, columns=["RID", *fields])
    records: Iterable[FeatureRecord] = map(feature.record_of, rows)
    if selector is not None:
        qualifiers = [fields[column] for column in feature.qualifier_columns]
        records = reduce_with_selector(records, fields[feature.target_column], selector, qualifiers)
    yield from records
