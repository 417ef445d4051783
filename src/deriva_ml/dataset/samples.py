"""Rows and files of a bag as samples to train on: which there are, and what each of them is; knows no trainer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from deriva_ml import arguments
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.feature.record import Feature, FeatureRecord
from deriva_ml.feature.values import feature_values
from deriva_ml.names import optional_list

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table
    from deriva_ml.rows.local import LocalReader
    from deriva_ml.rows.reader import Row

Targets = Sequence[str] | Mapping[str, Any] | None

_NAMED = 20
"""Most RIDs that an error names."""


class Rows(Protocol):
    """A dataset whose rows and files are on this disk."""

    dataset_rid: str

    @property
    def reader(self) -> LocalReader:
        """Its rows and files."""
        ...

    @property
    def model(self) -> CatalogModel:
        """Model of the catalog when the version was made."""
        ...

    def reach(self) -> Mapping[tuple[str, str], Collection[str]]:
        """RIDs of all rows that belong to it, by schema and table."""
        ...

    def list_members(self, table: Any, *, recurse: bool = False) -> list[str]:
        """RIDs of its members in one table."""
        ...

    def lookup_feature(self, table: Any, feature_name: str) -> Feature:
        """A feature of a table."""
        ...


def selectors_of(targets: Targets) -> dict[str, Any]:
    """What is learnt, and for each which of several values counts; None where there is only one.

    Raises
    ------
    DerivaMLValidationError
        If the targets are no list, or one of them is not a name.
    """
    given = targets if isinstance(targets, Mapping) else dict.fromkeys(optional_list("targets", targets))
    for name in given:
        if not isinstance(name, str) or "." in name:
            raise DerivaMLValidationError(
                f"targets cannot name {name!r}: name the feature alone and choose its column with target_transform."
            )
    return dict(given)


@dataclass(frozen=True)
class Sampling:
    """What a sample is.

    Parameters
    ----------
    sample_loader : callable, optional
        Makes a sample of the path of a file (None where the table holds no files) and the row.
    transform : callable, optional
        Changes a loaded sample.
    targets : list of str, or dict, optional
        Features that are learnt; a dict gives selectors for those with several values per row.
    target_transform : callable, optional
        Changes the record of the only feature, or the dict of the records of several.
    missing : {"error", "skip", "unknown"}
        What becomes of rows without a value: refused, left out, or given None.
    reachable : bool
        Whether all rows that belong to the dataset are samples, or only its own members.
    """

    sample_loader: Callable[[Path | None, Row], Any] | None = None
    transform: Callable[[Any], Any] | None = None
    targets: Targets = None
    target_transform: Callable[[Any], Any] | None = None
    missing: str = "error"
    reachable: bool = True
    selectors: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        if self.missing not in ("error", "skip", "unknown"):
            raise DerivaMLValidationError(
                f"missing must be 'error', 'skip' or 'unknown', not {self.missing!r}."
            )
        for name in ("sample_loader", "transform", "target_transform"):
            arguments.function(name, getattr(self, name), "a function")
        object.__setattr__(self, "selectors", selectors_of(self.targets))


class Samples(Sequence[tuple[Any, ...]]):
    """Samples of one table of a bag, in RID order; each is loaded when it is asked for.

    An item is ``(sample, rid)``, with targets ``(sample, target, rid)``. It may be used in processes that were forked,
    and in any others if its functions can be pickled.

    Parameters
    ----------
    bag : DatasetBag
    element_type : str or Table
        The table whose rows are samples.
    how : Sampling

    Raises
    ------
    DerivaMLTableNotFound, DerivaMLFeatureNotFound
        If there is no such table or feature.
    DerivaMLException
        If files need a `sample_loader`, or values are missing and that is an error.
    """

    def __init__(self, bag: Rows, element_type: Any, how: Sampling) -> None:
        self.bag, self.how = bag, how
        table = bag.reader.require(bag.model.name_to_table(element_type))
        self.table_name = (table.schema.name, table.name)
        self._holds_files = bag.model.is_asset(table)
        if self._holds_files and how.sample_loader is None:
            raise DerivaMLException(
                f"{table.name} holds files: pass sample_loader=, which gets (path, row) and returns a sample."
            )
        reached: Collection[str] = (
            bag.reach().get(self.table_name, ()) if how.reachable else bag.list_members(table)
        )
        self.targets = {name: self._records(table, name, reached) for name in how.selectors}
        self.rids = self._complete(table, sorted(set(reached)))

    def __getstate__(self) -> dict[str, Any]:
        # What selected the values has done its work, and a selector is mostly a function that cannot be pickled.
        return {**vars(self), "how": replace(self.how, targets=None)}

    def __len__(self) -> int:
        return len(self.rids)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return self.sample(self.rids[index])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return (self.sample(rid) for rid in self.rids)

    def sample(self, rid: str) -> tuple[Any, ...]:
        """Load one sample.

        Raises
        ------
        DerivaMLException
            If its file was not downloaded.
        """
        bag = self.bag
        table = bag.model.name_to_table(self.table_name)
        row = next(bag.reader.rows(table, where={"RID": [rid]}))
        path = self._path(table, row) if self._holds_files else None
        made = row if self.how.sample_loader is None else self.how.sample_loader(path, row)
        if self.how.transform is not None:
            made = self.how.transform(made)
        return (made, self.target(rid), rid) if self.targets else (made, rid)

    def target(self, rid: str) -> Any:
        """What is learnt of a row: a record, several by feature, or None where there is none."""
        found = {name: records.get(rid) for name, records in self.targets.items()}
        if all(record is None for record in found.values()):
            return None
        target = next(iter(found.values())) if len(found) == 1 else found
        return target if self.how.target_transform is None else self.how.target_transform(target)

    def _path(self, table: Table, row: Row) -> Path:
        path = self.bag.reader.file(table, row)
        if path is None:
            raise DerivaMLException(
                f"The file of {table.name} {row['RID']} is not in the bag; call bag.materialize() first."
            )
        return path

    def _records(self, table: Table, name: str, reached: Collection[str]) -> dict[str, FeatureRecord]:
        feature = self.bag.lookup_feature(table, name)
        column = next(
            (
                key
                for key, field in feature.feature_record_class().model_fields.items()
                if (field.alias or key) == feature.target_column
            )
        )
        found: dict[str, FeatureRecord] = {}
        for record in feature_values(
            self.bag.reader, feature, self.how.selectors[name], targets=list(reached)
        ):
            rid = getattr(record, column)
            if rid in found:
                raise DerivaMLException(
                    f"{table.name} {rid} has several values of {name!r}; choose one with "
                    f"targets={{{name!r}: select_newest}}."
                )
            found[rid] = record
        return found

    def _complete(self, table: Table, rids: list[str]) -> list[str]:
        """RIDs of the samples that have what is asked for."""
        lacking = {rid: name for name, records in self.targets.items() for rid in rids if rid not in records}
        if not lacking or self.how.missing == "unknown":
            return rids
        if self.how.missing == "error":
            named = ", ".join(sorted(lacking)[:_NAMED]) + (", …" if len(lacking) > _NAMED else "")
            features = ", ".join(sorted(set(lacking.values())))
            raise DerivaMLException(
                f"{len(lacking)} of {len(rids)} {table.name} have no value of {features}: {named}. Pass missing='skip' "
                "to leave them out, or missing='unknown' to get None."
            )
        return [rid for rid in rids if rid not in lacking]
