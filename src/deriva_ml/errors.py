"""Every error that the library raises.

::

    DerivaMLException
    ├── DerivaMLConfigurationError
    │   ├── DerivaMLConnectionError (ConnectionError)   host, folder or catalog cannot be reached
    │   ├── DerivaMLDependencyError (ImportError)       an optional package is not installed
    │   ├── DerivaMLSchemaError
    │   ├── DerivaMLSchemaRefreshBlocked
    │   ├── DerivaMLSchemaPinned
    │   ├── DerivaMLAuthenticationError (PermissionError)
    │   └── DerivaMLOfflineError
    ├── DerivaMLDataError
    │   ├── DerivaMLNotFoundError (LookupError)
    │   │   ├── DerivaMLCatalogNotFound
    │   │   ├── DerivaMLDatasetNotFound
    │   │   ├── DerivaMLTableNotFound
    │   │   ├── DerivaMLFeatureNotFound
    │   │   ├── DerivaMLInvalidTerm
    │   │   ├── DerivaMLRidsNotFound
    │   │   └── NoAssociationException
    │   ├── DerivaMLTableTypeError
    │   ├── DerivaMLValidationError (ValueError)
    │   │   ├── DerivaMLInvalidVersion
    │   │   └── DerivaMLMaterializeLimitExceeded
    │   ├── DerivaMLConflictError                        the catalog refused rows: keys, references, a lost race
    │   ├── DerivaMLChecksumError                        bytes are not what was recorded
    │   ├── DerivaMLCycleError
    │   ├── DerivaMLStateInconsistency
    │   └── AmbiguousAssociationException
    ├── DerivaMLExecutionError
    │   ├── DerivaMLWorkflowError
    │   │   └── DerivaMLDirtyWorkflowError
    │   ├── DerivaMLUploadError
    │   └── InvalidTransitionError
    ├── DerivaMLReadOnlyError (PermissionError)
    └── DerivaMLDenormalizeError
        ├── DerivaMLDenormalizeMultiLeaf
        ├── DerivaMLDenormalizeNoSink
        ├── DerivaMLDenormalizeDownstreamLeaf
        ├── DerivaMLDenormalizeAmbiguousPath
        └── DerivaMLDenormalizeUnrelatedAnchor

A message says what happened, to which thing, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from packaging.version import InvalidVersion


class DerivaMLException(Exception):
    """Anything that went wrong in this library."""

    def __init__(self, msg: str = "") -> None:
        super().__init__(msg)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not through `__init__`, to which most kinds would have to give more than their message: an error that cannot be
        # made again in the process that waits for it leaves a pool of processes waiting forever.
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(
    kind: type[DerivaMLException], args: tuple[Any, ...], attributes: dict[str, Any]
) -> DerivaMLException:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class DerivaMLConfigurationError(DerivaMLException):
    """The set-up is wrong: host, folder, catalog, schema or settings."""


class DerivaMLConnectionError(DerivaMLConfigurationError, ConnectionError):
    """A host, folder or service cannot be reached."""


class DerivaMLDependencyError(DerivaMLConfigurationError, ImportError):
    """What is asked for needs a package that is not installed; the message says which extra brings it."""


class DerivaMLSchemaError(DerivaMLConfigurationError):
    """The catalog's schema is not one this library can work with."""


class DerivaMLSchemaRefreshBlocked(DerivaMLConfigurationError):
    """Staged rows still rely on the schema that would be replaced."""


class DerivaMLSchemaPinned(DerivaMLConfigurationError):
    """The schema is pinned and may not be refreshed."""


class DerivaMLAuthenticationError(DerivaMLConfigurationError, PermissionError):
    """The service does not know the caller, or refuses it."""


class DerivaMLOfflineError(DerivaMLConfigurationError):
    """The call needs a catalog, and this connection works offline."""


class DerivaMLDataError(DerivaMLException):
    """Data in the catalog or given by the caller does not fit."""


class DerivaMLNotFoundError(DerivaMLDataError, LookupError):
    """Something named does not exist."""


class DerivaMLCatalogNotFound(DerivaMLNotFoundError):
    """No catalog of that id on this host."""


class DerivaMLDatasetNotFound(DerivaMLNotFoundError):
    """No dataset of that RID.

    Attributes
    ----------
    dataset_rid : str
    """

    def __init__(self, dataset_rid: str, msg: str | None = None) -> None:
        super().__init__(
            msg
            or f"There is no dataset {dataset_rid!r} in this catalog; ml.find_datasets() or `deriva-ml bootstrap-config` tells "
            "which there are."
        )
        self.dataset_rid = dataset_rid


class DerivaMLTableNotFound(DerivaMLNotFoundError):
    """No table of that name.

    Attributes
    ----------
    table_name : str
    """

    def __init__(self, table_name: str, msg: str | None = None) -> None:
        super().__init__(msg or f"There is no table {table_name!r} in this catalog.")
        self.table_name = table_name


class DerivaMLFeatureNotFound(DerivaMLNotFoundError):
    """No feature of that name on that table.

    Attributes
    ----------
    table_name, feature_name : str
    """

    def __init__(self, table_name: str, feature_name: str, msg: str | None = None) -> None:
        super().__init__(msg or f"Table {table_name!r} has no feature {feature_name!r}.")
        self.table_name = table_name
        self.feature_name = feature_name


class DerivaMLInvalidTerm(DerivaMLNotFoundError):
    """A name that is no term (or synonym) of a vocabulary.

    Attributes
    ----------
    vocabulary, term : str
    """

    def __init__(self, vocabulary: str, term: str, msg: str | None = None) -> None:
        super().__init__(
            msg or f"{term!r} is not a term of vocabulary {vocabulary!r}; add it with ml.add_term()."
        )
        self.vocabulary = vocabulary
        self.term = term


class DerivaMLRidsNotFound(DerivaMLNotFoundError):
    """Some RIDs are in no table that was searched.

    Attributes
    ----------
    missing_rids : list of str
    """

    def __init__(self, missing_rids: Iterable[str], msg: str | None = None) -> None:
        self.missing_rids = list(missing_rids)
        super().__init__(msg or f"Not found in this catalog: {', '.join(self.missing_rids)}.")


class NoAssociationException(DerivaMLNotFoundError):
    """No association table joins two tables.

    Attributes
    ----------
    table1, table2 : str
    """

    def __init__(self, table1: str, table2: str, msg: str | None = None) -> None:
        super().__init__(msg or f"No association table joins {table1!r} and {table2!r}.")
        self.table1 = table1
        self.table2 = table2


class DerivaMLTableTypeError(DerivaMLDataError):
    """A table is not of the kind that the call works on.

    Attributes
    ----------
    table_type, table : str
    """

    def __init__(self, table_type: str, table: str, msg: str | None = None) -> None:
        super().__init__(msg or f"{table!r} is not of type {table_type}.")
        self.table_type = table_type
        self.table = table


class DerivaMLValidationError(DerivaMLDataError, ValueError):
    """Values given by the caller do not fit together or to the catalog."""


class DerivaMLInvalidVersion(DerivaMLValidationError, InvalidVersion):
    """A text is no version of a dataset.

    Parameters
    ----------
    version : object
        What was given.
    """

    def __init__(self, version: object) -> None:
        super().__init__(
            f"{version!r} is no version of a dataset; it looks like 1.2.0, or 1.2.0.post1.dev3 between two releases."
        )
        self.version = version


class DerivaMLMaterializeLimitExceeded(DerivaMLValidationError):
    """More rows than the caller was ready to hold.

    Attributes
    ----------
    actual_count, limit : int
    """

    def __init__(self, actual_count: int, limit: int) -> None:
        super().__init__(
            f"{actual_count} rows exceed the limit of {limit}; raise materialize_limit or narrow the query."
        )
        self.actual_count = actual_count
        self.limit = limit


class DerivaMLConflictError(DerivaMLDataError):
    """The catalog refused a change: duplicate key, missing reference, or a change made meanwhile by somebody else."""


class DerivaMLChecksumError(DerivaMLDataError):
    """Bytes differ from what the catalog or a manifest recorded."""


class DerivaMLCycleError(DerivaMLDataError):
    """Datasets or executions would contain themselves.

    Attributes
    ----------
    cycle_nodes : list of str
    """

    def __init__(self, cycle_nodes: Iterable[str], msg: str | None = None) -> None:
        self.cycle_nodes = list(cycle_nodes)
        super().__init__(msg or f"This would make a cycle: {' -> '.join(self.cycle_nodes)}.")


class DerivaMLStateInconsistency(DerivaMLDataError):
    """Local and catalog state of an execution contradict each other."""


class AmbiguousAssociationException(DerivaMLDataError):
    """Several association tables join two tables.

    Attributes
    ----------
    table1, table2 : str
    count : int
    """

    def __init__(self, table1: str, table2: str, count: int) -> None:
        super().__init__(f"{count} association tables join {table1!r} and {table2!r}; name one.")
        self.table1 = table1
        self.table2 = table2
        self.count = count


class DerivaMLExecutionError(DerivaMLException):
    """Something about running or recording a run."""


class DerivaMLWorkflowError(DerivaMLExecutionError):
    """The code that runs cannot be identified."""


class DerivaMLDirtyWorkflowError(DerivaMLWorkflowError):
    """Uncommitted changes, and the caller asked to be strict.

    Attributes
    ----------
    path : str
    dirty_paths : list of str
    """

    def __init__(self, path: str, dirty_paths: Sequence[str] | None = None) -> None:
        self.path = path
        self.dirty_paths = list(dirty_paths or ())
        shown = ", ".join(self.dirty_paths[:3]) + (", …" if len(self.dirty_paths) > 3 else "")
        super().__init__(
            f"{path} has uncommitted changes{': ' + shown if shown else ''}. Commit them before running."
        )


class DerivaMLUploadError(DerivaMLExecutionError):
    """Outputs of an execution could not be uploaded; what is staged is kept.

    Parameters
    ----------
    message : str, optional
    report : UploadReport, optional
        How many files of each table failed, and why, where the upload got as far as the files.
    """

    def __init__(self, message: str = "", report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class InvalidTransitionError(DerivaMLExecutionError):
    """A status change that the state machine does not allow."""


class DerivaMLReadOnlyError(DerivaMLException, PermissionError):
    """A write to something that cannot change: a snapshot, a bag, an offline catalog."""


class DerivaMLDenormalizeError(DerivaMLException):
    """Tables cannot be joined into one wide table as asked."""


class DerivaMLDenormalizeMultiLeaf(DerivaMLDenormalizeError):
    """Several tables could give the rows."""

    def __init__(
        self, candidates: Sequence[str], include_tables: Sequence[str], bridge_suggestions: Sequence[str] = ()
    ) -> None:
        super().__init__(f"One row per what? Candidates: {', '.join(candidates)}. Pass row_per=.")
        self.candidates = list(candidates)
        self.include_tables = list(include_tables)
        self.bridge_suggestions = list(bridge_suggestions)


class DerivaMLDenormalizeNoSink(DerivaMLDenormalizeError):
    """The tables refer to each other in a circle, so none gives the rows."""


class DerivaMLDenormalizeDownstreamLeaf(DerivaMLDenormalizeError):
    """`row_per` lies upstream of another requested table."""

    def __init__(self, row_per: str, downstream_tables: Sequence[str]) -> None:
        super().__init__(
            f"{row_per!r} has several rows of {', '.join(downstream_tables)} each; use one of them as row_per."
        )
        self.row_per = row_per
        self.downstream_tables = list(downstream_tables)


class DerivaMLDenormalizeAmbiguousPath(DerivaMLDenormalizeError):
    """Several foreign-key paths join two tables."""

    def __init__(
        self,
        from_table: str,
        to_table: str,
        paths: Sequence[Sequence[str]],
        suggested_intermediates: Sequence[str] = (),
    ) -> None:
        super().__init__(
            f"{len(paths)} paths join {from_table!r} and {to_table!r}; name a table on the wanted one in via=."
        )
        self.from_table = from_table
        self.to_table = to_table
        self.paths = [list(path) for path in paths]
        self.suggested_intermediates = list(suggested_intermediates)


class DerivaMLDenormalizeUnrelatedAnchor(DerivaMLDenormalizeError):
    """Members of a dataset have no path to the requested tables."""

    def __init__(
        self, unrelated_tables: Sequence[str], include_tables: Sequence[str], msg: str | None = None
    ) -> None:
        super().__init__(
            msg
            or f"Members of {', '.join(unrelated_tables)} have no path to {', '.join(include_tables)}; "
            "pass ignore_unrelated_anchors=True to leave them out."
        )
        self.unrelated_tables = list(unrelated_tables)
        self.include_tables = list(include_tables)
