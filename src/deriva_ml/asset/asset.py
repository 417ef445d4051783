"""Assets: files known to the catalog, with their types and the executions they belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import markup
from deriva_ml.asset import download as downloads
from deriva_ml.asset.record import AssetRecord
from deriva_ml.asset.record import asset_record_class as record_class
from deriva_ml.citation import record_url
from deriva_ml.ermrest import rids, rows
from deriva_ml.errors import DerivaMLNotFoundError, DerivaMLTableTypeError, NoAssociationException
from deriva_ml.names import AssetRole, MLVocab
from deriva_ml.rows.reader import Row
from deriva_ml.vocabulary import require_terms

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table, TableName
    from deriva_ml.session import Session


class Asset:
    """One file known to the catalog.

    Parameters
    ----------
    session : Session
    table : Table
        Its asset table.
    row : dict
        Its row.
    asset_types : list of str, optional
        Its types; read when first used where they are not given.
    """

    def __init__(
        self, session: Session, table: Table, row: Row, asset_types: list[str] | None = None
    ) -> None:
        self._session = session
        self._table = table
        self._row = row
        self._asset_types = asset_types

    @property
    def asset_rid(self) -> str:
        """RID of the asset."""
        return str(self._row["RID"])

    @property
    def asset_table(self) -> str:
        """Name of the asset table."""
        return self._table.name

    @property
    def filename(self) -> str:
        """Name of the file."""
        return str(self._row.get("Filename") or "")

    @property
    def url(self) -> str:
        """Where the bytes are."""
        return str(self._row["URL"])

    @property
    def length(self) -> int:
        """Number of bytes."""
        return int(self._row["Length"])

    @property
    def md5(self) -> str:
        """MD5 of the bytes, in hex."""
        return str(self._row["MD5"])

    @property
    def description(self) -> str:
        """What the file holds (Markdown); assigning writes it to the catalog."""
        return str(self._row.get("Description") or "")

    @description.setter
    def description(self, text: str) -> None:
        self._session.require_writable("change a description")
        rows.update_one(self._session.connection, self._table, self.asset_rid, Description=text)
        self._row["Description"] = text

    @property
    def asset_types(self) -> list[str]:
        """Terms of Asset_Type that the file is tagged with."""
        if self._asset_types is None:
            self._asset_types = types_of(self._session, self._table, [self.asset_rid]).get(self.asset_rid, [])
        return list(self._asset_types)

    @property
    def execution_rid(self) -> str | None:
        """RID of the execution that made the file, None when no producer is recorded."""
        return producers_of(self._session, self._table, [self.asset_rid]).get(self.asset_rid)

    def add_asset_type(self, asset_type: str) -> None:
        """Tag the file.

        Raises
        ------
        DerivaMLInvalidTerm
            If `asset_type` is no term of Asset_Type.
        """
        (term,) = require_terms(self._session, MLVocab.asset_type, [asset_type])
        table, asset_column, type_column = self._session.model.asset_types(self._table)
        row = {asset_column: self.asset_rid, type_column: term}
        rows.insert(self._session.connection, table, [row], skip_conflicts=True)
        self._asset_types = None

    def remove_asset_type(self, asset_type: str) -> None:
        """Take a tag away; nothing happens when the file does not have it."""
        table, asset_column, type_column = self._session.model.asset_types(self._table)
        where = {asset_column: [self.asset_rid], type_column: [asset_type]}
        rows.delete(self._session.connection, table, where)
        self._asset_types = None

    def list_executions(self, asset_role: str | None = None) -> list[Any]:
        """Executions that read or made the file.

        Parameters
        ----------
        asset_role : str, optional
            ``Input`` or ``Output``.

        Returns
        -------
        list of ExecutionRecord
        """
        return self._session.front_door.list_asset_executions(self.asset_rid, asset_role)

    def find_features(self) -> list[Any]:
        """Features of the asset's table."""
        return self._session.front_door.find_features(self._table)

    def download(self, dest_dir: Path | str) -> Path:
        """Fetch the file.

        Parameters
        ----------
        dest_dir : Path or str
            Folder to put it in; made if it does not exist.

        Returns
        -------
        Path
        """
        return downloads.download(self._session, self._row, Path(dest_dir))

    def get_metadata(self) -> Row:
        """The asset's row: column name to value."""
        return dict(self._row)

    def get_chaise_url(self) -> str:
        """Address of the asset's page."""
        return record_url(self._session, self._table, self.asset_rid)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asset) and other.asset_rid == self.asset_rid

    def __hash__(self) -> int:
        return hash(self.asset_rid)

    def __repr__(self) -> str:
        return f"<Asset {self.asset_rid} {self.asset_table}/{self.filename}, {self.length:,} bytes>"

    def _repr_html_(self) -> str:
        facts = {
            "RID": self.asset_rid,
            "Table": self.asset_table,
            "Bytes": f"{self.length:,}",
            "MD5": self.md5,
        }
        facts |= {"Types": ", ".join(self.asset_types), "Description": self.description}
        return markup.facts(facts, self.filename)


def types_of(
    session: Session, table: Table, asset_rids: Collection[str] | None = None
) -> dict[str, list[str]]:
    """Types of many assets of one table at once.

    Parameters
    ----------
    session : Session
    table : Table
        An asset table.
    asset_rids : collection of str, optional
        Which assets; all of the table by default.

    Returns
    -------
    dict
        RID to types, without assets that have none.
    """
    try:
        association, asset_column, type_column = session.model.asset_types(table)
    except NoAssociationException:
        return {}
    where = None if asset_rids is None else {asset_column: asset_rids}
    found: dict[str, list[str]] = {}
    columns = ["RID", asset_column, type_column]
    for row in rows.read(session.connection, association, where=where, columns=columns):
        found.setdefault(row[asset_column], []).append(row[type_column])
    return found


def producers_of(session: Session, table: Table, asset_rids: Collection[str]) -> dict[str, str]:
    """Executions that made assets: RID of the asset to that of its first producer."""
    try:
        association, asset_column, execution_column = session.model.asset_executions(table)
    except NoAssociationException:
        return {}
    where: dict[str, Collection[str]] = {asset_column: asset_rids, MLVocab.asset_role: [AssetRole.output]}
    found: dict[str, str] = {}
    columns = ["RID", "RCT", asset_column, execution_column]
    links = rows.read(session.connection, association, where=where, columns=columns)
    for row in sorted(links, key=lambda row: (row["RCT"], row["RID"])):
        found.setdefault(row[asset_column], row[execution_column])
    return found


def add_types(session: Session, table: Table, types: Iterable[tuple[str, str]]) -> None:
    """Tag many assets of one table at once; tags that are there already are left as they are.

    Parameters
    ----------
    session : Session
    table : Table
        An asset table.
    types : iterable of (RID, type)
    """
    association, asset_column, type_column = session.model.asset_types(table)
    tags = [{asset_column: rid, type_column: str(name)} for rid, name in types]
    rows.insert(session.connection, association, tags, skip_conflicts=True)


def table_of(session: Session, asset_rid: str) -> Table:
    """Asset table that an asset is a row of.

    Raises
    ------
    DerivaMLRidsNotFound
        If there is no such row.
    DerivaMLTableTypeError
        If it is not an asset.
    """
    table = rids.resolve_rid(session.connection, session.model, asset_rid).table
    if not session.model.is_asset(table):
        raise _not_an_asset(asset_rid, table.name)
    return table


def _not_an_asset(rid: str, table_name: str) -> DerivaMLTableTypeError:
    return DerivaMLTableTypeError("asset", table_name, f"{rid} is a row of {table_name!r}, not an asset.")


def lookup_asset(session: Session, asset_rid: str) -> Asset:
    """Find an asset.

    Parameters
    ----------
    session : Session
    asset_rid : str

    Returns
    -------
    Asset

    Raises
    ------
    DerivaMLNotFoundError
        If there is no such row.
    DerivaMLTableTypeError
        If it is not an asset.
    """
    table = table_of(session, asset_rid)
    found = next(iter(rows.read(session.connection, table, where={"RID": [asset_rid]})), None)
    if found is None:
        raise DerivaMLNotFoundError(
            f"There is no asset {asset_rid!r} in {table.name!r}; see ml.list_assets({table.name!r})."
        )
    return Asset(session, table, found)


def lookup_assets(session: Session, asset_rids: Collection[str]) -> dict[str, Asset]:
    """Find many assets at once, a few requests per asset table.

    Parameters
    ----------
    session : Session
    asset_rids : collection of str

    Returns
    -------
    dict
        RID to `Asset`, in the order asked for.

    Raises
    ------
    DerivaMLRidsNotFound
        If some are in no table.
    DerivaMLTableTypeError
        If some are not assets.
    """
    by_table: dict[tuple[str, str], list[str]] = {}
    for rid, found in rids.resolve_rids(session.connection, session.model, asset_rids).items():
        if not session.model.is_asset(found.table):
            raise _not_an_asset(rid, found.table_name)
        by_table.setdefault((found.schema_name, found.table_name), []).append(rid)
    assets = {
        asset.asset_rid: asset
        for (schema, name), members in by_table.items()
        for asset in _with_types(session, session.table((schema, name)), members)
    }
    return {rid: assets[rid] for rid in asset_rids}


def _with_types(session: Session, table: Table, asset_rids: Collection[str] | None) -> Iterator[Asset]:
    types = types_of(session, table, asset_rids)
    where = None if asset_rids is None else {"RID": asset_rids}
    for row in rows.read(session.connection, table, where=where):
        yield Asset(session, table, row, types.get(row["RID"], []))


def list_assets(session: Session, asset_table: TableName) -> list[Asset]:
    """All assets of a table.

    Parameters
    ----------
    session : Session
    asset_table : Table or str

    Returns
    -------
    list of Asset

    Raises
    ------
    DerivaMLTableTypeError
        If it is not an asset table.
    """
    return list(_with_types(session, session.model.require_asset(asset_table), None))


def find_assets(
    session: Session, asset_table: TableName | None = None, asset_type: str | None = None
) -> Iterator[Asset]:
    """Search for assets.

    Parameters
    ----------
    session : Session
    asset_table : Table or str, optional
        All asset tables by default.
    asset_type : str, optional
        Only assets with this tag.

    Yields
    ------
    Asset
    """
    tables = (
        session.model.find_assets() if asset_table is None else [session.model.require_asset(asset_table)]
    )
    for table in tables:
        tagged = None if asset_type is None else _tagged(session, table, asset_type)
        if tagged is None or tagged:
            yield from _with_types(session, table, tagged)


def _tagged(session: Session, table: Table, asset_type: str) -> list[str]:
    try:
        association, asset_column, type_column = session.model.asset_types(table)
    except NoAssociationException:
        return []
    where = {type_column: [asset_type]}
    tags = rows.read(session.connection, association, where=where, columns=["RID", asset_column])
    return [row[asset_column] for row in tags]


def list_asset_tables(session: Session) -> list[Table]:
    """All asset tables of the catalog."""
    return session.model.find_assets()


def asset_record_class(session: Session, asset_table: TableName) -> type[AssetRecord]:
    """Class of the metadata of an asset table, see `deriva_ml.asset.record.asset_record_class`."""
    return record_class(session.model, asset_table)
