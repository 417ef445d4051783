"""Features of a catalog: define, look up, delete."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deriva_ml.asset.define import shown_columns
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLException,
    DerivaMLFeatureNotFound,
    DerivaMLTableNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.feature.record import EXECUTION, FEATURE_NAME, Feature, FeatureRecord
from deriva_ml.model.build import Reference, feature_table
from deriva_ml.model.define import ColumnDefinition
from deriva_ml.model.types import type_document
from deriva_ml.names import SYSTEM_COLUMNS, MLVocab, optional_list
from deriva_ml.records import FeatureReference
from deriva_ml.schema.display import feature_annotations
from deriva_ml.vocabulary import add_term, delete_term, list_terms

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, TableName
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)


def find_features(model: CatalogModel, table: TableName | None = None) -> list[Feature]:
    """Features of a table, or of all tables.

    Parameters
    ----------
    model : CatalogModel
        Of a catalog or a bag.
    table : Table or str, optional

    Returns
    -------
    list of Feature
    """
    return [Feature(model, found) for found in model.find_features(table)]


def lookup_feature(model: CatalogModel, table: TableName, feature_name: str) -> Feature:
    """Find a feature.

    Parameters
    ----------
    model : CatalogModel
        Of a catalog or a bag.
    table : Table or str
        The labelled table.
    feature_name : str

    Returns
    -------
    Feature

    Raises
    ------
    DerivaMLFeatureNotFound
        If the table has no such feature; the message names those that it has.
    """
    target = model.name_to_table(table)
    features = model.find_features(target)
    for found in features:
        if found.name == feature_name:
            return Feature(model, found)
    known = ", ".join(sorted(found.name for found in features)) or "none"
    raise DerivaMLFeatureNotFound(
        target.name, feature_name, f"Table {target.name!r} has no feature {feature_name!r}; it has: {known}."
    )


def feature_record_class(model: CatalogModel, table: TableName, feature_name: str) -> type[FeatureRecord]:
    """Class of the records of a feature; see `Feature.feature_record_class`. Parameters are those of `lookup_feature`."""
    return lookup_feature(model, table, feature_name).feature_record_class()


def create_feature(
    session: Session,
    target_table: TableName,
    feature_name: str,
    terms: Iterable[TableName] | None = None,
    assets: Iterable[TableName] | None = None,
    metadata: Iterable[ColumnDefinition | dict[str, Any] | TableName | dict[str, Any]] | None = None,
    optional: Collection[str] | None = None,
    comment: str = "",
    update_navbar: bool = True,
) -> type[FeatureRecord]:
    """Define a feature: a kind of label that executions give to rows of a table.

    Parameters
    ----------
    session : Session
    target_table : Table or str
        The labelled table.
    feature_name : str
        Becomes a term of the vocabulary Feature_Name too.
    terms : iterable of Table or str, optional
        Vocabularies; a value names one term of each.
    assets : iterable of Table or str, optional
        Asset tables; a value names one asset of each.
    metadata : iterable of ColumnDefinition, Table or str, optional
        Further columns, and tables that a value refers to.
    optional : collection of str, optional
        Names of those terms, assets, tables and columns that a value may leave out.
    comment : str
        What the feature means.
    update_navbar : bool
        Whether the navigation bar of the catalog's pages is made again.

    Returns
    -------
    type
        Class of the feature's records.

    Raises
    ------
    DerivaMLTableTypeError
        If one of `terms` is no vocabulary, one of `assets` no asset table, or `target_table` a vocabulary.
    DerivaMLValidationError
        If the name is empty, `terms`, `assets` or `metadata` is no list, two columns would have one name, or `optional`
        names what is no value.
    DerivaMLConflictError
        If the feature exists.
    """
    model = session.model
    target = model.name_to_table(target_table)
    if any(found.name == feature_name for found in model.find_features(target)):
        raise DerivaMLConflictError(
            f"Feature {feature_name!r} of {target.name!r} already exists; lookup_feature() gives it."
        )
    if not isinstance(feature_name, str) or not feature_name.strip():
        raise DerivaMLValidationError(f"{feature_name!r} cannot be the name of a feature; give some text.")
    nullable = frozenset(map(str, optional_list("optional", optional)))
    payload = [_reference(model, table, nullable, "asset") for table in optional_list("assets", assets)]
    payload += [_reference(model, table, nullable, "vocabulary") for table in optional_list("terms", terms)]
    further = [_column_or_reference(model, item, nullable) for item in optional_list("metadata", metadata)]
    home = model.default_schema or target.schema.name
    columns = [*payload, *further]
    if not columns:
        logger.warning(
            "Feature %r of %r has no values: its records only say that a run marked a row. For a label give terms=[...], "
            "for numbers and text metadata=[...]; ml.delete_feature(%r, %r) takes it back.",
            feature_name,
            target.name,
            target.name,
            feature_name,
        )
    if model.is_vocabulary(target):
        raise DerivaMLTableTypeError(
            "table of records",
            target.name,
            f"{target.name!r} is a vocabulary: its terms cannot have features.",
        )
    _check_columns(feature_name, target.name, [_name_of(column) for column in columns], nullable)
    definition = feature_table(model.reference_to(target), feature_name, columns, model.ml_schema, comment)
    shown = shown_columns(home, definition.name, columns)
    definition = definition.with_annotations(feature_annotations(home, definition.name, target.name, shown))
    known = {term.name for term in list_terms(session, MLVocab.feature_name)}
    term = add_term(
        session, MLVocab.feature_name, feature_name, comment or f"Feature {feature_name} of {target.name}."
    )
    try:
        session.create_tables([definition], home, update_navbar)
    except DerivaMLException:
        if term.name not in known:
            _forget(session, term.name)
        raise
    return lookup_feature(
        session.model, (target.schema.name, target.name), feature_name
    ).feature_record_class()


def _forget(session: Session, name: str) -> None:
    """Delete the term of a feature that could not be made."""
    # Another process may have made a feature of that name meanwhile.
    with suppress(DerivaMLException):
        delete_term(session, MLVocab.feature_name, name)


def _name_of(column: Reference | ColumnDefinition | dict[str, Any]) -> str:
    if isinstance(column, Reference):
        return column.column_name
    return str(column["name"]) if isinstance(column, dict) else column.name


def _check_columns(feature_name: str, target: str, names: Sequence[str], optional: Collection[str]) -> None:
    """Refuse columns that cannot stand beside each other, before anything is made."""
    taken = Counter([*names, *SYSTEM_COLUMNS, EXECUTION, FEATURE_NAME, target])
    twice = sorted(name for name, number in taken.items() if number > 1)
    if twice:
        raise DerivaMLValidationError(
            f"Feature {feature_name!r} would have two columns {twice[0]!r}. Terms and assets are columns named like their "
            f"tables, and every feature of {target} has {', '.join((EXECUTION, FEATURE_NAME, target))}; name yours otherwise."
        )
    unknown = sorted(set(optional) - set(names))
    if unknown:
        raise DerivaMLValidationError(
            f"optional names {', '.join(unknown)}, but the values of feature {feature_name!r} are: "
            f"{', '.join(names) or 'none'}."
        )


def _reference(model: CatalogModel, table: TableName, optional: Collection[str], kind: str) -> Reference:
    """Make a column that refers to a table of the required kind (``asset``, ``vocabulary`` or any)."""
    found = model.name_to_table(table)
    if kind and not (model.is_asset(found) if kind == "asset" else model.is_vocabulary(found)):
        raise DerivaMLTableTypeError(
            kind,
            found.name,
            f"{found.name!r} is not {'an asset table' if kind == 'asset' else 'a vocabulary'}.",
        )
    return model.reference_to(found, nullok=found.name in optional)


def _column_or_reference(
    model: CatalogModel, item: Any, optional: Collection[str]
) -> Reference | ColumnDefinition | dict[str, Any]:
    if isinstance(item, dict) and not (isinstance(item.get("name"), str) and item.get("type")):
        raise DerivaMLValidationError(f"metadata: {item!r} is no column; it needs a 'name' and a 'type'.")
    if isinstance(item, ColumnDefinition):
        return replace(item, nullok=True) if item.name in optional else item
    if isinstance(item, dict):
        item = {**item, "type": type_document(item["type"])}
        return {**item, "nullok": True} if item["name"] in optional else item
    try:
        return _reference(model, item, optional, "")
    except DerivaMLTableNotFound as error:
        raise DerivaMLTableNotFound(
            str(item),
            f"{error} For a column of plain values give ColumnDefinition({item!r}, BuiltinTypes.text).",
        ) from None


def delete_feature(session: Session, table: TableName, feature_name: str) -> bool:
    """Delete a feature with all its values; the term in Feature_Name stays.

    Parameters
    ----------
    session : Session
    table : Table or str
        The labelled table.
    feature_name : str

    Returns
    -------
    bool
        Whether there was such a feature.
    """
    try:
        feature = lookup_feature(session.model, table, feature_name)
    except DerivaMLFeatureNotFound:
        return False
    session.drop_table(feature.feature_table)
    return True


def find_features_referencing(
    model: CatalogModel, table: TableName, column: str | None = None
) -> list[FeatureReference]:
    """Features whose values refer to a table.

    Parameters
    ----------
    model : CatalogModel
    table : Table or str
        A vocabulary, asset table or labelled table.
    column : str, optional
        Only references to this column of it.

    Returns
    -------
    list of FeatureReference
    """
    wanted = model.name_to_table(table)
    found = []
    for feature in model.find_features():
        for fkey in feature.table.foreign_keys:
            referenced = [there.name for there in fkey.referenced_columns]
            if fkey.pk_table is wanted and column in (None, *referenced):
                name = next(iter(fkey.foreign_key_columns)).name
                found.append(FeatureReference(feature.target.name, feature.name, feature.table.name, name))
    return found
