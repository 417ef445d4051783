"""One open catalog with its model and its workspace: what every room is handed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from deriva_ml.ermrest.connect import Connection, Host, connect
from deriva_ml.errors import (
    DerivaMLConfigurationError,
    DerivaMLConnectionError,
    DerivaMLException,
    DerivaMLOfflineError,
    DerivaMLReadOnlyError,
    DerivaMLSchemaError,
    DerivaMLValidationError,
)
from deriva_ml.lasting import make_lasting_folder
from deriva_ml.model.graph import CatalogModel, Schema, Table, TableName
from deriva_ml.names import ML_SCHEMA, NOT_DOMAIN_SCHEMAS, ConnectionMode
from deriva_ml.reexport import room
from deriva_ml.rows.reader import Reader
from deriva_ml.workspace import Workspace, paths
from deriva_ml.workspace.pinned_model import KeptModel, PinnedModel
from deriva_ml.workspace.whole_files import write_whole

if TYPE_CHECKING:
    from deriva_ml.ermrest import schemas
    from deriva_ml.model import document
    from deriva_ml.rows import live, released
    from deriva_ml.schema import renew
else:
    schemas = room("deriva_ml.ermrest.schemas")
    document = room("deriva_ml.model.document")
    live = room("deriva_ml.rows.live")
    released = room("deriva_ml.rows.released")
    renew = room("deriva_ml.schema.renew")


class Resolver(Protocol):
    """What a record may ask of the rooms above it; the front door puts one into the session."""

    def find_executions(self, *, dataset: str, dataset_role: str) -> list[Any]:
        """Executions that read or made a dataset."""

    def list_asset_executions(self, asset_rid: str, asset_role: str | None = None) -> list[Any]:
        """Executions that read or wrote an asset."""

    def find_features(self, table: Any) -> list[Any]:
        """Features of a table."""


@dataclass(eq=False)
class Session:
    """One open connection, its model and its workspace.

    It can be pickled; the model is then read again where it is unpickled.

    Parameters
    ----------
    connection : Connection
    workspace : Workspace
    working_dir, cache_dir : Path
    ml_schema : str
    given_domain_schemas : frozenset of str, optional
        None for all that are neither the library's nor the service's.
    given_default_schema : str, optional
        None for the only domain schema there is.
    given_project_name : str, optional
    clean_execution_dir : bool
        Whether the scratch directory of an execution is removed once everything is committed.
    hydra_runtime_output_dir : Path, optional
    s3_bucket : str, optional
    use_minid : bool
    mode : ConnectionMode
    resolver : Resolver, optional
        Set by the front door.
    """

    connection: Connection
    workspace: Workspace
    working_dir: Path
    cache_dir: Path
    ml_schema: str = ML_SCHEMA
    given_domain_schemas: frozenset[str] | None = None
    given_default_schema: str | None = None
    given_project_name: str | None = None
    clean_execution_dir: bool = True
    hydra_runtime_output_dir: Path | None = None
    s3_bucket: str | None = None
    use_minid: bool = False
    mode: ConnectionMode = ConnectionMode.online
    resolver: Resolver | None = field(default=None, repr=False)
    terms: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False)
    """Vocabulary terms that were read; kept by `vocabulary`."""
    staged_annotations: dict[tuple[str, ...], dict[str, Any]] = field(
        default_factory=dict, init=False, repr=False
    )
    """What the service has where annotations were staged, by place and tag; kept by `chaise`."""
    _model: CatalogModel | None = field(default=None, init=False, repr=False)
    _is_outgrown: bool = field(default=False, init=False, repr=False)
    """Whether tables were changed since the model was kept."""
    _snapshots: dict[str, Session] = field(default_factory=dict, init=False, repr=False)
    _live: Connection | None = field(default=None, init=False, repr=False)
    """The catalog as it is now, for a session at a snapshot."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None, "_snapshots": {}, "terms": {}, "staged_annotations": {}}

    @property
    def catalog(self) -> Any:
        """deriva-py's binding of the catalog; offline, what says that it cannot be asked."""
        offline = self.mode is ConnectionMode.offline
        return document.Unasked(self.connection.name) if offline else self.connection.catalog

    # The model -----------------------------------------------------------------------------------------------------

    @property
    def model(self) -> CatalogModel:
        """The model, read when first asked for; offline or pinned, the one kept in the working directory."""
        if self._model is None:
            self._model = self._wrap(self._kept_model() or self._fetched_model())
        return self._model

    def refresh(self) -> CatalogModel:
        """Read the model again; annotations that were only staged are discarded.

        Raises
        ------
        DerivaMLOfflineError
            If this session works offline.
        DerivaMLSchemaPinned
            If the model is pinned.
        """
        self.require_online("refresh the schema")
        self.workspace.pinned_model.require_unpinned()
        self._model = self._wrap(self._fetched_model())
        self.terms.clear()
        self.staged_annotations.clear()
        return self._model

    def _wrap(self, model: Any) -> CatalogModel:
        if self.ml_schema not in model.schemas:
            raise DerivaMLSchemaError(
                f"{self.connection.name} has no schema {self.ml_schema!r}: it was not made for DerivaML. "
                "Make a catalog with create_ml_catalog(), or the schema with create_ml_schema()."
            )
        domain, given = self.given_domain_schemas, self.given_default_schema
        if self.connection.is_snapshot:
            # A schema may be younger than the snapshot.
            domain = None if domain is None else domain & frozenset(model.schemas)
            given = given if given in model.schemas else None
        for name in domain or ():
            if name not in model.schemas:
                raise DerivaMLSchemaError(f"There is no schema {name!r} in {self.connection.name}.")
        if given is not None and given not in model.schemas:
            raise DerivaMLSchemaError(
                f"There is no schema {given!r} in {self.connection.name} to be the default one."
            )
        return CatalogModel(model, self.ml_schema, domain, given, renewal=self._renewal())

    def _renewal(self) -> str:
        """How to see what somebody else has made meanwhile; empty where nobody can have."""
        if self.connection.is_snapshot:
            return ""
        if self.mode is ConnectionMode.offline:
            return f"If it was made since its model was kept in {self.working_dir}, connect online once to renew that."
        return "If somebody else made it since the catalog was opened, call ml.refresh_schema()."

    def _kept_model(self) -> Any:
        """The model of the working directory, where it must be used."""
        if self.connection.is_snapshot:
            return None
        kept = self.workspace.pinned_model.load()
        usable = kept is not None and kept.catalog_id == self.connection.catalog_id
        if self.mode is ConnectionMode.offline:
            if kept is None or not usable:
                raise DerivaMLConfigurationError(
                    f"Working offline needs the model of {self.connection.name} in {self.working_dir}; "
                    "connect online once to keep it there."
                )
            return document.DocumentModel(kept.schema)
        if kept is not None and usable and kept.pin is not None:
            return self.connection.model(kept.schema)
        return None

    def _fetched_model(self) -> Any:
        document = self.connection.schema_document()
        self._keep(document)
        return self.connection.model(document)

    def _keep(self, document: dict[str, Any]) -> None:
        """Keep the model for offline work, unless it is pinned or known already."""
        if self.connection.is_snapshot:
            return
        known, former = self.workspace.pinned_model, self.workspace.pinned_model.load()
        snaptime = str(document.get("snaptime", ""))
        if former is None or (former.pin is None and former.snapshot_id != snaptime):
            place = self.connection
            known.store(KeptModel(place.host, place.catalog_id, snaptime, self.ml_schema, document))
        self._is_outgrown = False

    def keep_changes(self) -> None:
        """Keep the model again if this session has changed tables since it was kept."""
        if self._is_outgrown:
            self._keep(self.connection.schema_document())

    @property
    def domain_schemas(self) -> frozenset[str]:
        """Schemas of the user's own tables."""
        return self.model.domain_schemas

    @property
    def default_schema(self) -> str | None:
        """Schema in which new tables are made when none is named."""
        return self.model.default_schema

    @property
    def project_name(self) -> str:
        """Prefix of the short identifiers of new terms."""
        return self.given_project_name or self.default_schema or ML_SCHEMA

    @property
    def reader(self) -> Reader:
        """Rows of this catalog."""
        reader = live.LiveReader(self.connection, lambda: self.model)
        if self.connection.snapshot is None:
            return reader
        return released.ReleasedReader(reader, self._reader_now, self.connection.snapshot)

    def _reader_now(self) -> Reader:
        self._live = self._live or self.connection.live()
        return live.LiveReader(self._live, lambda: self.model)

    def table(self, name: TableName) -> Table:
        """A table by name, (schema, name) or as an object; see `CatalogModel.name_to_table`."""
        return self.model.name_to_table(name)

    def ml_table(self, name: str) -> Table:
        """A table of the ML schema."""
        return self.model.ml_table(name)

    @property
    def front_door(self) -> Resolver:
        """What records ask of the rooms above.

        Raises
        ------
        DerivaMLException
            If the session was opened without a `DerivaML`.
        """
        if self.resolver is None:
            raise DerivaMLException(
                "This needs a record that comes from an open DerivaML; take it from there."
            )
        return self.resolver

    # Other views of the same catalog -------------------------------------------------------------------------------

    @property
    def is_snapshot(self) -> bool:
        """Whether this reads the catalog as it was at a time."""
        return self.connection.is_snapshot

    def at(self, snapshot: str) -> Session:
        """The same catalog as it was at a snapshot, given as its id or as ``catalog@id``; kept and handed out again."""
        snaptime = snapshot.rpartition("@")[2]
        if snaptime == self.connection.snapshot:
            return self
        if snaptime not in self._snapshots:
            made = self._over(self.connection.at(snaptime))
            made._live = self._live if self.is_snapshot else self.connection
            self._snapshots[snaptime] = made
        return self._snapshots[snaptime]

    def patient(self, timeout: tuple[float, float] | None) -> Session:
        """The same catalog, asked with other time-outs: those of `deriva_ml.ermrest.connect.Site`."""
        if timeout is None or self.connection.is_embedded:
            return self
        made = self._over(self.connection.patient(timeout))
        made._model = self._model
        return made

    def _over(self, connection: Connection) -> Session:
        """Make this session anew over another connection."""
        made = Session(
            **{name: getattr(self, name) for name, part in self.__dataclass_fields__.items() if part.init}
        )
        made.connection = connection
        return made

    def require_writable(self, doing: str = "write") -> None:
        """Raise when this session may not change the catalog.

        Raises
        ------
        DerivaMLReadOnlyError
            At a snapshot.
        DerivaMLOfflineError
            When working offline.
        """
        if self.is_snapshot:
            raise DerivaMLReadOnlyError(f"Cannot {doing}: {self.connection.name} is a snapshot.")
        self.require_online(doing)

    def require_online(self, doing: str) -> None:
        """Raise when this session works offline."""
        if self.mode is ConnectionMode.offline:
            raise DerivaMLOfflineError(f"Cannot {doing} offline; connect with mode='online'.")

    # Changes of the model ------------------------------------------------------------------------------------------

    def target_schema(self, schema: str | None = None) -> str:
        """Schema for a new table: the one named, else the default one.

        Raises
        ------
        DerivaMLValidationError
            If none is named and there is no default one.
        """
        name = schema or self.default_schema
        if name is None:
            found = ", ".join(sorted(self.domain_schemas))
            hint = f"name one of {found} with schema=" if found else "make one with ml.create_schema(NAME)"
            raise DerivaMLValidationError(f"It is not clear in which schema the table goes; {hint}.")
        return name

    def create_schema(self, name: str, comment: str | None = None) -> Schema:
        """Make a schema for the user's own tables; it becomes the default one when it is the only one."""
        self.require_writable(f"create schema {name}")
        made: Schema = schemas.create_schema(self.connection, self.model.wrapped, name, comment)
        self._is_outgrown = True
        self._model = self._wrap(self.model.wrapped)
        return made

    def create_tables(
        self, definitions: Iterable[Any], schema: str | None = None, navbar: bool = True
    ) -> list[Table]:
        """Make tables in one request, all or nothing.

        Parameters
        ----------
        definitions : iterable of TableDefinition or table documents
            They may refer to each other.
        schema : str, optional
            The default schema if not given.
        navbar : bool
            Whether the menus of the web interface are brought up to date.
        """
        name = self.target_schema(schema)
        self.require_writable("create tables")
        made = schemas.create_tables(self.connection, self.model.wrapped, name, definitions)
        self._is_outgrown = True
        if navbar:
            renew.renew_pages(self.connection, self.model)
        return made

    def drop_table(self, table: TableName, navbar: bool = True) -> None:
        """Drop a table with all its rows."""
        found = self.table(table)
        self.require_writable(f"drop {found.name}")
        schemas.drop_table(self.connection, self.model.wrapped, found)
        self._is_outgrown = True
        if navbar:
            renew.renew_pages(self.connection, self.model)

    @classmethod
    def open(
        cls,
        hostname: Host,
        catalog_id: str | int,
        *,
        working_dir: Path | str | None = None,
        cache_dir: Path | str | None = None,
        credential: dict[str, Any] | None = None,
        domain_schemas: Collection[str] | None = None,
        mode: ConnectionMode | str = ConnectionMode.online,
        timeout: tuple[float, float] | None = None,
        chunk_size: int | None = None,
        **options: Any,
    ) -> Self:
        """Connect to a catalog.

        Parameters
        ----------
        hostname : str or path
        catalog_id : str or int
        working_dir : path, optional
            ``~/.deriva-ml/<host>/<catalog>`` if not given; the same by id and by alias.
        cache_dir : path, optional
            ``<working_dir>/cache`` if not given.
        credential : dict, optional
        domain_schemas : collection of str, optional
        mode : ConnectionMode or str
        timeout, chunk_size
            As of `deriva_ml.ermrest.connect.Site`.
        options
            Further fields of the class.

        Raises
        ------
        DerivaMLConnectionError, DerivaMLCatalogNotFound
            If there is no such service, folder or catalog.
        DerivaMLConfigurationError
            If the working directory cannot be written, or there is no such mode.
        """
        try:
            wanted = ConnectionMode(mode)
        except ValueError:
            known = ", ".join(repr(member.value) for member in ConnectionMode)
            raise DerivaMLConfigurationError(f"mode {mode!r} is unknown; there are: {known}.") from None
        asked = connect(
            hostname, catalog_id, credential=credential, check=False, timeout=timeout, chunk_size=chunk_size
        )
        note = paths.alias_file(_root(working_dir, asked), asked.authority, asked.catalog_id)
        # Whatever is wrong with the host, the id or the schema is said before anything is made on this disk.
        document = (
            _first_document(asked, note, working_dir)
            if wanted is ConnectionMode.online
            else {"alias_target": _read(note)}
        )
        # Local files belong to the catalog itself: an alias may lead to another one tomorrow.
        connection = asked.behind(document.get("alias_target"))
        root = _root(working_dir, connection)
        cache = Path(cache_dir).expanduser().absolute() if cache_dir else root / "cache"
        workspace = Workspace(root, connection.authority, connection.catalog_id, cache)
        schemas = None if domain_schemas is None else frozenset(domain_schemas) - NOT_DOMAIN_SCHEMAS
        session = cls(
            connection, workspace, root, cache, given_domain_schemas=schemas, mode=wanted, **options
        )
        if wanted is ConnectionMode.online:
            session._model = session._wrap(connection.model(document))
            _make_writable(root)
            session._keep(document)
            if connection.alias and _read(note) != connection.catalog_id:
                write_whole(note, connection.catalog_id)
        kept = session._kept_model()
        if kept is not None:
            session._model = session._wrap(kept)
            _make_writable(root)
        return session


def _root(working_dir: Path | str | None, connection: Connection) -> Path:
    place = working_dir or paths.default_working_dir(connection.authority, connection.catalog_id)
    return Path(place).expanduser().absolute()


def _first_document(asked: Connection, note: Path, working_dir: Path | str | None) -> dict[str, Any]:
    """The model of a catalog; a host that is known on this disk has the right name, so it is waited for."""
    try:
        return asked.schema_document()
    except DerivaMLConnectionError:
        if asked.has_answered or not _is_known(asked, note, working_dir):
            raise
    asked.expect_answer()
    return asked.schema_document()


def _is_known(asked: Connection, note: Path, working_dir: Path | str | None) -> bool:
    """Whether a catalog of the same host was opened before: it left its model, or the id behind an alias."""
    if note.is_file() or paths.default_working_dir(asked.authority, asked.catalog_id).parent.is_dir():
        return True
    kept = PinnedModel(paths.schema_cache_file(_root(working_dir, asked))).load()
    return kept is not None and kept.hostname == asked.host


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _make_writable(folder: Path) -> None:
    try:
        make_lasting_folder(folder)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise DerivaMLConfigurationError(
            f"The working directory {folder} cannot be written ({error.strerror or error}). Choose another working_dir, "
            "or set DERIVA_ML_HOME to a folder that you can write to, for all that are not given."
        ) from error


def session_of(ml: Any) -> Session:
    """The session behind an open catalog; a session is its own."""
    found = getattr(ml, "_session", ml)
    if not isinstance(found, Session):
        raise DerivaMLValidationError(
            f"{ml!r} is no open catalog; open one with DerivaML(hostname, catalog_id)."
        )
    return found
