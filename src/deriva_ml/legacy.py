"""Names of `DerivaML` that older projects still use; each gives the present name in a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from deriva_ml.errors import DerivaMLException


class SchemaPath:
    """deriva-py's path of a schema, which older code calls and newer code reads attributes of."""

    def __init__(self, ml: Any, schema: str | None = None) -> None:
        self._ml = ml
        self._schema = schema or ml.default_schema

    def __call__(self, schema: str | None = None) -> Any:
        return self._ml.pathBuilder().schemas[schema or self._schema]

    def __getattr__(self, name: str) -> Any:
        return getattr(self(), name)


def _table_path(ml: Any) -> Callable[[Any], Any]:
    def path_of(table: Any) -> Any:
        found = ml.model.name_to_table(table)
        return ml.pathBuilder().schemas[found.schema.name].tables[found.name]

    return path_of


def _retrieve_rid(ml: Any) -> Callable[[str], Any]:
    return lambda rid: ml.resolve_rid(rid).datapath.entities().fetch()[0]


def _prefetch(ml: Any) -> Callable[..., Any]:
    return lambda dataset, materialize=True: ml.cache_dataset(dataset, materialize=materialize)


def _upload_pending(ml: Any) -> Callable[..., Any]:
    # Failed uploads are always tried again.
    return lambda execution_rids=None, retry_failed=True: ml.commit_pending_executions(
        execution_rids=execution_rids
    )


def _cache_features(ml: Any) -> Callable[..., Any]:
    return lambda table, feature_name, **options: list(ml.feature_values(table, feature_name, **options))


_PRESENT: dict[str, Callable[[Any], Any]] = {
    "_domain_path": SchemaPath,
    "_table_path": _table_path,
    "_retrieve_rid": _retrieve_rid,
    "_cache_features": _cache_features,
    "_add_workflow": lambda ml: ml.add_workflow,
}
"""Names that subclasses of `DerivaML` call; they are fine."""

_FORMER: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "domain_schema": ("default_schema", lambda ml: ml.default_schema),
    "domain_path": ("pathBuilder().schemas[schema]", SchemaPath),
    "table_path": ("pathBuilder().schemas[schema].tables[table]", _table_path),
    "retrieve_rid": ("resolve_rid(rid).datapath", _retrieve_rid),
    "cache_features": ("feature_values(table, feature_name)", _cache_features),
    "prefetch_dataset": ("cache_dataset(spec)", _prefetch),
    "upload_pending": ("commit_pending_executions()", _upload_pending),
}
"""Former name to present name and what it gives."""


_GONE = {
    "create_dataset": "datasets are made by a run: exe.create_dataset(types, description) in an execution",
    "add_features": "values are written by a run: exe.add_features(records) in an execution",
}
"""Former method to what to do instead, where nothing can stand in for it."""


def _gone(name: str) -> Callable[..., Any]:
    def method(*arguments: Any, **options: Any) -> Any:
        raise DerivaMLException(f"ml.{name} does not exist any more; {_GONE[name]}.")

    return method


def attribute(ml: Any, name: str) -> Any:
    """Value of an attribute that older code expects.

    Raises
    ------
    AttributeError
        If there never was one of that name.
    """
    if name in _PRESENT:
        return _PRESENT[name](ml)
    if name in _GONE:
        return _gone(name)
    if name not in _FORMER:
        raise AttributeError(f"{type(ml).__name__!r} object has no attribute {name!r}")
    present, give = _FORMER[name]
    warnings.warn(f"ml.{name} is deprecated; use ml.{present}.", DeprecationWarning, stacklevel=3)
    return give(ml)
