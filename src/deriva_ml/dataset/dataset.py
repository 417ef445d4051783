"""A dataset in the catalog: its members, types and versions can change."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from deriva_ml import arguments, markup
from deriva_ml.citation import record_url, snapshot_named
from deriva_ml.dataset import difference, download, estimate, registry, release
from deriva_ml.dataset import members as membership
from deriva_ml.dataset import version as labels
from deriva_ml.dataset.bag import DatasetBag
from deriva_ml.dataset.export import reach
from deriva_ml.dataset.members import Members
from deriva_ml.dataset.view import children, history, member_keys, parents
from deriva_ml.dataset.wide import WideView
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.ordering import Sort
from deriva_ml.errors import DerivaMLException
from deriva_ml.feature.record import Feature
from deriva_ml.model.ways import name_of
from deriva_ml.names import RID, DatasetVersion, MLTable, VersionPart, require_list
from deriva_ml.rows.local import LocalReader
from deriva_ml.rows.reader import Reader, Row
from deriva_ml.session import session_of
from deriva_ml.specs import DatasetSpec

if TYPE_CHECKING:
    from deriva_ml.session import Session

Version = DatasetVersion | str | None


class Dataset(WideView):
    """A named, versioned collection of rows of the catalog.

    Every change makes its version a dev version (``0.1.0.post1.dev1``) or advances it; `release` gives that state a
    number for good.

    Parameters
    ----------
    session : Session
    dataset_rid : str
    row : dict, optional
        Its row, if it was read already.
    maker : str, optional
        Execution that is recorded with changes and releases for which none is named.

    Attributes
    ----------
    dataset_rid : str
    """

    def __init__(
        self, session: Session, dataset_rid: str, row: Row | None = None, maker: str | None = None
    ) -> None:
        super().__init__(dataset_rid)
        self._session, self._maker = session, maker
        self._description = str(
            (row or registry.lookup(session, dataset_rid, deleted=True))["Description"] or ""
        )

    def __repr__(self) -> str:
        return f"<Dataset {self.dataset_rid}: {self._description[:60]}>"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _repr_html_(self) -> str:
        facts = {
            "Types": ", ".join(self.dataset_types),
            "Description": self._description,
            "Page": self.get_chaise_url(),
        }
        return markup.facts(facts, f"Dataset {self.dataset_rid} version {self.current_version}")

    @staticmethod
    def create_dataset(
        ml_instance: Any,
        execution_rid: str | None = None,
        dataset_types: str | Iterable[str] | None = None,
        description: str = "",
        version: Version = None,
    ) -> Dataset:
        """Make a dataset; see `create`."""
        return create(
            session_of(ml_instance),
            execution_rid=execution_rid,
            dataset_types=dataset_types,
            description=description,
            version=version,
        )

    # --- reading --------------------------------------------------------------------------------------------------

    def at(self, version: DatasetVersion | str) -> Dataset:
        """Return this dataset as it was at a released version, to be read only; at a dev version, as it is now.

        Raises
        ------
        DerivaMLException
            If there is no such version; the message lists those there are.
        """
        there = self._session_at(version)
        return self if there is self._session else Dataset(there, self.dataset_rid)

    def _session_at(self, version: Version) -> Session:
        if version is None:
            return self._session
        entries = {
            entry.dataset_version: entry for entry in history(self._session.reader, [self.dataset_rid])
        }
        chosen = labels.choose(entries, DatasetVersion.coerce(version), self.dataset_rid)
        entry = entries[chosen]
        snapshot = release.pinned(self._session, chosen, entry.version_rid, entry.snapshot)
        return self._session.at(snapshot) if snapshot else self._session

    def _reader(self, version: Version = None) -> Reader:
        return self._session_at(version).reader

    def _reached(self, feature: Feature, reader: Reader, version: Version) -> Collection[str] | None:
        own = [self.dataset_rid, *children(reader, [self.dataset_rid], recurse=True)]
        found = member_keys(reader, own)
        elements = {name_of(element.table): element.table.name for element in reader.model.dataset_elements()}
        target = name_of(feature.target_table)
        others = [name for key, name in elements.items() if key != target and found[name]]
        if target in elements and not others:
            return found[elements[target]]
        return reach(reader, self.dataset_rid).get(target, set())

    @property
    def description(self) -> str:
        """What the dataset is, in Markdown; assigning writes to the catalog."""
        return self._description

    @description.setter
    def description(self, text: str) -> None:
        text = arguments.text("description", text)
        self._session.require_writable(f"describe dataset {self.dataset_rid}")
        table = self._session.ml_table(MLTable.dataset)
        rows.update_one(self._session.connection, table, self.dataset_rid, Description=text)
        self._description = text

    def list_dataset_children(self, recurse: bool = False, *, version: Version = None) -> list[Dataset]:
        """Nested datasets, nearest first; with a version they are seen as they were then."""
        there = self._session_at(version)
        return _datasets(there, children(there.reader, [self.dataset_rid], recurse=recurse))

    def list_dataset_parents(self, recurse: bool = False, *, version: Version = None) -> list[Dataset]:
        """Datasets that contain this one and are not deleted, nearest first; with a version, as it was then."""
        there = self._session_at(version)
        above = parents(there.reader, [self.dataset_rid], recurse=recurse)
        return _datasets(there, registry.alive(there, above))

    def list_executions(self) -> list[Any]:
        """Records of the executions that read this dataset."""
        return self._session.front_door.find_executions(dataset=self.dataset_rid, dataset_role="input")

    # --- changing -------------------------------------------------------------------------------------------------

    def add_dataset_members(
        self,
        members: Members,
        validate: bool = True,
        description: str = "",
        execution_rid: str | None = None,
    ) -> None:
        """Make rows members of this dataset.

        Parameters
        ----------
        members : list of str, or dict of table name to list of str
            RIDs, or datasets and assets.
        validate : bool
            Whether to check that none of them is a member already.
        description : str
            What is noted with the dev version.
        execution_rid : str, optional
            What makes the change.

        Raises
        ------
        DerivaMLValidationError
            If a row is a member already, or of a table whose rows cannot be members.
        DerivaMLCycleError
            If the dataset would contain itself.
        """
        membership.add(
            self._session,
            self.dataset_rid,
            members,
            validate=validate,
            description=description,
            execution_rid=execution_rid or self._maker,
        )

    def delete_dataset_members(
        self, members: Members, description: str = "", execution_rid: str | None = None
    ) -> None:
        """Take rows out of this dataset; the rows themselves stay."""
        membership.remove(
            self._session,
            self.dataset_rid,
            members,
            description=description,
            execution_rid=execution_rid or self._maker,
        )

    def add_dataset_type(self, dataset_type: Any) -> None:
        """Add a type, a term of Dataset_Type."""
        membership.set_types(
            self._session, self.dataset_rid, add_types=[dataset_type], execution_rid=self._maker
        )

    def add_dataset_types(self, dataset_types: Any) -> None:
        """Add types, terms of Dataset_Type; those that it has already change nothing."""
        given = require_list(
            "dataset_types", [dataset_types] if isinstance(dataset_types, str) else dataset_types
        )
        membership.set_types(self._session, self.dataset_rid, add_types=given, execution_rid=self._maker)

    def remove_dataset_type(self, dataset_type: Any) -> None:
        """Take a type away."""
        membership.set_types(
            self._session, self.dataset_rid, remove_types=[dataset_type], execution_rid=self._maker
        )

    # --- versions -------------------------------------------------------------------------------------------------

    def release(
        self, bump: VersionPart | str = VersionPart.minor, description: str = "", execution: Any = None
    ) -> DatasetVersion:
        """Give the current state a version number, for good.

        Parameters
        ----------
        bump : VersionPart
            Which number is raised.
        description : str
            Release note.
        execution : Execution or str, optional
            What makes the release.

        Returns
        -------
        DatasetVersion

        Raises
        ------
        DerivaMLValidationError
            If nothing has changed since the last release; see `mark_dev`.
        """
        maker = _rid_of(execution) or self._maker
        return release.release(self._session, self.dataset_rid, VersionPart(bump), description, maker)

    def increment_dataset_version(
        self, component: VersionPart | str, description: str = "", execution_rid: str | None = None
    ) -> DatasetVersion:
        """Release, also when nothing has changed since the last release."""
        component = VersionPart(component)
        if not self.current_version.is_devrelease:
            self.mark_dev(description, execution_rid)
        return self.release(component, description, execution_rid)

    def mark_dev(self, description: str = "", execution: Any = None) -> None:
        """Begin a dev version, or advance it, without a change of members or types."""
        maker = _rid_of(execution) or self._maker
        with release.changing(self._session, self.dataset_rid, description, maker):
            pass

    def is_dirty(self) -> bool:
        """Whether any row that belongs to this dataset was added, changed or removed since the last release."""
        return difference.is_dirty(self._session, self.dataset_rid)

    def release_diff(self) -> dict[str, int]:
        """Table name to number of rows that were added, changed or removed since the last release."""
        return difference.diff_since_release(self._session, self.dataset_rid)

    def compare_versions(self, a: DatasetVersion | str, b: DatasetVersion | str) -> dict[str, int]:
        """Table name to number of rows that differ between two versions.

        Raises
        ------
        DerivaMLException
            If there is no such version; the message lists those there are.
        """
        first, second = DatasetVersion.coerce(a), DatasetVersion.coerce(b)
        return difference.diff(self._session, self.dataset_rid, first, second)

    # --- bags -----------------------------------------------------------------------------------------------------

    def download_dataset_bag(
        self,
        version: Version = None,
        materialize: bool = True,
        use_minid: bool = False,
        exclude_tables: Iterable[str] | None = None,
        timeout: tuple[float, float] | None = None,
        fetch_concurrency: int = 8,
        reachability_concurrency: int = 8,
    ) -> DatasetBag:
        """Download a version, or take it from the cache.

        Parameters
        ----------
        version : DatasetVersion or str, optional
            The last release by default.
        materialize : bool
            Whether asset files are downloaded, or only tables.
        use_minid : bool
            Refused unless the connection names an S3 bucket.
        exclude_tables : iterable of str, optional
            Tables that are left out, with everything reached only through them.
        timeout : tuple of float, optional
            Seconds to wait for a connection, and for each part of an answer; those of the open catalog by default.
        fetch_concurrency : int
            How many files are downloaded at a time.
        reachability_concurrency : int
            Kept for callers that pass it.

        Returns
        -------
        DatasetBag

        Raises
        ------
        DerivaMLException
            If there is no such version; the message lists those there are.
        """
        if use_minid and not self._session.s3_bucket:
            raise DerivaMLException("use_minid=True needs a connection with s3_bucket=.")
        spec = self._spec(
            version,
            exclude_tables,
            materialize=materialize,
            timeout=timeout,
            fetch_concurrency=fetch_concurrency,
            reachability_concurrency=reachability_concurrency,
        )
        return download.download(self._session, spec)

    def _spec(self, version: Version, exclude_tables: Iterable[str] | None, **options: Any) -> DatasetSpec:
        excluded = None if exclude_tables is None else set(require_list("exclude_tables", exclude_tables))
        label = download.version_label(version)
        return DatasetSpec(rid=self.dataset_rid, version=label, exclude_tables=excluded, **options)

    def wide_source(self, version: Version = None) -> tuple[LocalReader, bool]:
        """Bring the rows of a version to this disk; by default what is there now. For `Denormalizer`."""
        if version is None:
            return download.current_rows(self._session, self.dataset_rid).catalog.reader, True
        return self.download_dataset_bag(version, materialize=False).catalog.reader, True

    def cache(self, version: Version = None, materialize: bool = True, **options: Any) -> dict[str, Any]:
        """Download a version to the cache; says what is there then, as `bag_info` does.

        Parameters
        ----------
        version, materialize, options
            As for `download_dataset_bag`.
        """
        bag = self.download_dataset_bag(version, materialize, **options)
        spec = self._spec(bag.current_version, options.get("exclude_tables"))
        return estimate.bag_info(self._session, spec, bag.reader)

    def estimate_bag_size(
        self,
        version: Version = None,
        exclude_tables: Iterable[str] | None = None,
        reachability_concurrency: int = 8,
    ) -> dict[str, Any]:
        """Count rows and bytes of a version without downloading it; see `estimate.estimate_bag_size`."""
        return estimate.estimate_bag_size(self._session, self._spec(version, exclude_tables))

    def bag_info(
        self, version: Version = None, exclude_tables: Iterable[str] | None = None
    ) -> dict[str, Any]:
        """Size of a version, and whether it is in the cache; see `estimate.bag_info`."""
        return estimate.bag_info(self._session, self._spec(version, exclude_tables))

    # --- shown to people ------------------------------------------------------------------------------------------

    def get_chaise_url(self) -> str:
        """Address of the page of this dataset in the web interface."""
        table = (self._session.ml_schema, MLTable.dataset.value)
        return record_url(self._session, table, self.dataset_rid)

    def to_markdown(self, show_children: bool = False, indent: int = 0) -> str:
        """One line of Markdown, with nested datasets below it if asked for."""
        types = ", ".join(self.dataset_types)
        line = (
            f"{'  ' * indent}- [{self.dataset_rid}]({self.get_chaise_url()}) v{self.current_version} [{types}]: "
            f"{self.description}"
        )
        if not show_children:
            return line
        return "\n".join(
            [line, *(child.to_markdown(True, indent + 1) for child in self.list_dataset_children())]
        )

    def display_markdown(self, show_children: bool = False, indent: int = 0) -> None:
        """Print `to_markdown`; a notebook shows it formatted when the dataset is a cell's result."""
        print(self.to_markdown(show_children, indent))


def _datasets(session: Session, rids: list[RID]) -> list[Dataset]:
    if not rids:
        return []
    found = {
        row["RID"]: row for row in session.reader.rows(session.ml_table(MLTable.dataset), where={"RID": rids})
    }
    return [Dataset(session, rid, found[rid]) for rid in rids if rid in found]


def _rid_of(execution: Any) -> str | None:
    return None if execution is None else str(getattr(execution, "execution_rid", execution))


def create(
    session: Session,
    *,
    execution_rid: str | None = None,
    dataset_types: str | Iterable[str] | None = None,
    description: str = "",
    version: Version = None,
) -> Dataset:
    """Make a dataset with its first release; parameters and errors as for `registry.create`."""
    session.require_writable("create a dataset")
    rid = registry.create(
        session,
        execution_rid=execution_rid,
        dataset_types=dataset_types,
        description=description,
        version=version,
    )
    return Dataset(session, rid, {"RID": rid, "Description": description}, maker=execution_rid)


def lookup(session: Session, dataset: Any, deleted: bool = False) -> Dataset:
    """Return a dataset.

    Parameters
    ----------
    session : Session
    dataset : str, DatasetSpec or Dataset
        Its RID, or what has one. With a released version (``RID@1.2.0``, or that of a `DatasetSpec`) it is seen as it
        was then, and cannot be changed; so it is with a snapshot (``RID@33F-ABCD-1234``).
    deleted : bool
        Whether deleted ones are found.

    Raises
    ------
    DerivaMLDatasetNotFound
        If there is none, or it is deleted and `deleted` is False.
    DerivaMLTableTypeError
        If the RID is that of something else.
    DerivaMLException
        If there is no such version; the message lists those there are.
    """
    wanted = DatasetSpec.model_validate(dataset) if isinstance(dataset, str) and "@" in dataset else dataset
    rid, _, snapshot = registry.rid_of(wanted).partition("@")
    there = session.at(snapshot_named(session, snapshot)) if snapshot else session
    found = Dataset(there, rid, registry.lookup(there, rid, deleted=deleted))
    version = getattr(wanted, "version", None)
    return found if version is None else found.at(version)


def find(session: Session, deleted: bool = False, sort: Sort = None) -> list[Dataset]:
    """Return all datasets; parameters as for `registry.find`."""
    return [Dataset(session, row["RID"], row) for row in registry.find(session, deleted=deleted, sort=sort)]


def delete(session: Session, dataset: Any, recurse: bool = False) -> None:
    """Mark a dataset as deleted; parameters and errors as for `registry.delete`."""
    session.require_writable("delete a dataset")
    registry.delete(session, registry.rid_of(dataset), recurse=recurse)
