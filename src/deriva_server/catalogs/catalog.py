"""One open catalog: transactions with a consistent model, a client and a moment in time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from deriva_server.access.acls import Rights
from deriva_server.catalogs import modelstore as models
from deriva_server.errors import Conflict, DeploymentError, Forbidden, Unauthorized
from deriva_server.identity import Client
from deriva_server.model.changes import with_history
from deriva_server.model.elements import Model, Table
from deriva_server.names import encode_id
from deriva_server.sql import ddl, history, modelstore
from deriva_server.sql.connect import Database
from deriva_server.sql.dialect import Connection
from deriva_server.sql.modelstore import State

_PAST_MODELS = 16


class Reading:
    """A read transaction on a catalog, live or as of a snapshot.

    Attributes
    ----------
    catalog : Catalog
        What is read.
    client : Client
        Who reads.
    model : Model
        The model at this moment.
    live_model : Model
        The model of the present; the same object for a live reading.
    snaptime, model_snaptime : int
        Last change of anything, and of the model, up to this moment, in microseconds since 1970.
    as_of : int or None
        The snapshot that is read, None for the present.
    amended : int or None
        When the snapshot that is read was last amended.
    connection : Connection
        For modules of `deriva_server.sql`.
    """

    def __init__(
        self,
        catalog: Catalog,
        client: Client,
        connection: Connection,
        state: State,
        model: Model,
    ) -> None:
        self.catalog = catalog
        self.client = client
        self.connection = connection
        self.model = self.live_model = model
        self.snaptime, self.model_snaptime = state.snaptime, state.model_snaptime
        self.amended: int | None = None
        self.as_of: int | None = None

    def source(self, table: Table) -> history.Source:
        """The rows of a table of `model` at this moment; its columns bear the names `Column.storage`."""
        if self.as_of is None:
            return self.connection.dialect.expressions.source(table)
        live = self.catalog.live_table(self.live_model, table.rid)
        return history.past_source(self.connection, table, live, self.as_of)

    @cached_property
    def rights(self) -> Rights:
        """What the client may do, by the access lists of this moment."""
        return Rights(self.model, self.client)

    @property
    def version(self) -> str:
        """What validators of data carry: changes with every change of the catalog that this reading can show."""
        return self._with_amendment(self.snaptime)

    @property
    def model_version(self) -> str:
        """What validators of the model carry."""
        return self._with_amendment(self.model_snaptime)

    def _with_amendment(self, moment: int) -> str:
        if self.as_of is None:
            return encode_id(moment)
        amended = max(self.snaptime, self.amended or 0)
        return f"{encode_id(self.snaptime)}-{encode_id(amended)}"


class Writing(Reading):
    """The only write transaction of the moment on a catalog.

    Attributes
    ----------
    now : int
        The time of this transaction: later than every committed one, and the RMT of every row it writes.
    """

    def __init__(
        self, catalog: Catalog, client: Client, connection: Connection, state: State, model: Model, now: int
    ) -> None:
        super().__init__(catalog, client, connection, state, model)
        self.now = now
        self._next_rid = state.next_rid
        self._changed = self._model_changed = self._kept = False

    def rids(self, count: int = 1) -> list[str]:
        """The next RIDs of the catalog."""
        start, self._next_rid = self._next_rid, self._next_rid + count
        return [encode_id(number) for number in range(start, self._next_rid)]

    def reserve_beyond(self, number: int) -> None:
        """Let the RID sequence continue after `number`, the decoded form of an explicit RID."""
        if number >= self._next_rid:
            self._next_rid = number + 1

    def serials(self, column_rid: str, count: int) -> range:
        """The next numbers of a serial column."""
        return modelstore.take_serials(self.connection, column_rid, count)

    def data_changed(self, *tables: Table) -> None:
        """Note that rows changed, so that this transaction becomes a snapshot.

        Parameters
        ----------
        *tables : Table
            Tables whose rows were updated, inserted or deleted; none stands for any table. Tables reached by
            foreign-key actions need not be named.
        """
        self._changed = True
        touched = {table.rid: table for table in tables or self.model.tables()}
        waiting = list(touched.values())
        while waiting:
            for table, fkey in self.model.referrers.get(waiting.pop().qualified, ()):
                acts = {fkey.on_update, fkey.on_delete} - {"NO ACTION", "RESTRICT"}
                if acts and table.rid not in touched:
                    touched[table.rid] = table
                    waiting.append(table)
        modelstore.mark_changes(self.connection, touched, self.now)

    def change_model(self, model: Model) -> Model:
        """Make `model` the model of the catalog, tables included.

        Returns
        -------
        Model
            The same with the names under which tables and columns are stored.

        Raises
        ------
        Conflict
            If the data present does not fit.
        """
        old = self.model
        if model is old:
            return old
        model = ddl.with_storage(model, self.connection.dialect.tables, old)
        model = ddl.apply(self.connection, old, model, self.now)
        models.save(self.connection, old, model, self.now)
        self.model = self.live_model = model
        self.__dict__.pop("rights", None)
        self._changed = self._model_changed = True
        return model

    def past_changed(self, since: int, until: int) -> None:
        """Note that history from `since` until before `until` was amended, so that validators of snapshots move."""
        modelstore.mark_amended(self.connection, self.now, since, until)
        self._kept = True

    def keep(self) -> None:
        """Commit what was done without making a snapshot of it."""
        self._kept = True

    def finish(self) -> None:
        """Record the snapshot, or undo the transaction when it changed nothing."""
        if not self._changed:
            if not self._kept:
                modelstore.abandon(self.connection)
            return
        modelstore.end_moment(self.connection, self.now, self._next_rid, model_changed=self._model_changed)
        self.snaptime = self.now
        if self._model_changed:
            self.model_snaptime = self.now


class Catalog:
    """One catalog of this process; used by any number of threads, and by forked children.

    Parameters
    ----------
    id : str
        The id it was created under.
    database : Database
        Its database, which must exist.

    Raises
    ------
    DeploymentError
        If a newer version of the software wrote the catalog.
    """

    def __init__(self, id: str, database: Database) -> None:
        self.id = id
        self._database = database
        self._lock = threading.Lock()
        self._current: tuple[int, Model] = (-1, models.NOTHING)
        self._past: OrderedDict[tuple[int, int | None], Model] = OrderedDict()
        self._live_tables: tuple[Model, dict[str, Table]] = (models.NOTHING, {})
        self.known_clients: dict[str, Client] = {}

    @classmethod
    def create(cls, id: str, database: Database) -> Catalog:
        """Make a new catalog in an empty database, with an empty model."""
        catalog = cls(id, database)
        with catalog._database.write() as connection:
            modelstore.create_tables(connection)
        return catalog

    @contextmanager
    def read(self, client: Client, *, as_of: int | None = None, admit_all: bool = False) -> Iterator[Reading]:
        """Read at one moment.

        Parameters
        ----------
        client : Client
            Who reads.
        as_of : int, optional
            Microseconds since 1970; the last snapshot not later is read.
        admit_all : bool
            Do not ask whether the client may see the catalog.

        Raises
        ------
        Forbidden, Unauthorized
            If the client may not enumerate the catalog.
        Conflict
            If the catalog is younger than `as_of`.
        """
        with self._database.read(modelstore.STATE) as connection:
            state = self._state(connection)
            reading = Reading(self, client, connection, state, self._model(connection, state))
            if as_of is not None:
                self._go_back(reading, as_of)
            if not admit_all:
                _admit(reading)
            yield reading

    @contextmanager
    def write(self, client: Client, *, alters: bool = False, admit_all: bool = False) -> Iterator[Writing]:
        """Write; commits on success, rolls back on any error.

        Parameters
        ----------
        client : Client
            Who writes.
        alters : bool
            The transaction changes tables, not rows: foreign keys are checked by the change instead of per row.
        admit_all : bool
            Do not ask whether the client may see the catalog.
        """
        with self._database.write(modelstore.STATE, suspend_references=alters) as connection:
            state = self._state(connection)
            now = max(time.time_ns() // 1000, state.snaptime + 1)
            modelstore.begin_moment(connection, now, client.id)
            writing = Writing(self, client, connection, state, self._model(connection, state), now)
            if not admit_all:
                _admit(writing)
            yield writing
            writing.finish()
        if writing.model_snaptime == now:
            self._remember(now, writing.model)

    def close(self) -> None:
        """Close idle connections."""
        self._database.close()

    def live_table(self, model: Model, rid: str) -> Table | None:
        """The table with a RID in the present model."""
        # Another thread may replace them by those of another model at any time.
        live = self._live_tables
        if live[0] is not model:
            live = self._live_tables = (model, {table.rid: table for table in model.tables()})
        return live[1].get(rid)

    def _state(self, connection: Connection) -> State:
        assert connection.first is not None
        state = State(*connection.first)
        if state.format > modelstore.FORMAT:
            raise DeploymentError(
                f"Catalog {self.id} has format {state.format}, written by a newer version of this software; "
                f"this one reads up to {modelstore.FORMAT}. Update the software to open it."
            )
        return state

    def _model(self, connection: Connection, state: State) -> Model:
        version, model = self._current
        if version != state.model_snaptime:
            model = models.load(connection)
            self._remember(state.model_snaptime, model)
        return model

    def _remember(self, version: int, model: Model) -> None:
        with self._lock:
            if version > self._current[0]:
                self._current = (version, model)

    def _go_back(self, reading: Reading, moment: int) -> None:
        found = modelstore.latest_snapshot(reading.connection, moment)
        if found is None:
            raise Conflict(
                f'Requested catalog revision "{encode_id(moment)}" of catalog "{self.id}" '
                "is prior to any known revision."
            )
        reading.as_of = reading.snaptime = found[0]
        reading.model_snaptime = found[1]
        reading.amended = modelstore.last_amendment(reading.connection, found[0], found[0] + 1)
        reading.model = self._past_model(reading, found[1])

    def _past_model(self, reading: Reading, version: int) -> Model:
        """The model of a snapshot, without the tables that keep no history."""
        key = (version, reading.amended)
        with self._lock:
            model = self._past.get(key)
        if model is None:
            current = self._current
            is_current = version == current[0] and reading.amended is None
            model = with_history(current[1] if is_current else models.load(reading.connection, version))
            with self._lock:
                self._past[key] = model
                while len(self._past) > _PAST_MODELS:
                    self._past.popitem(last=False)
        return model


def _admit(reading: Reading) -> None:
    if not reading.rights.catalog("enumerate"):
        error = Unauthorized if reading.client.is_anonymous else Forbidden
        raise error(f"enumerate catalog {reading.catalog.id}")
