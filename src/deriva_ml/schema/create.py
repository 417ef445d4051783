"""A new catalog with the ML schema, and the ML schema in a catalog that is there; nothing is ever dropped unasked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from deriva_ml.ermrest import connect, rows, schemas
from deriva_ml.ermrest.address import read_address
from deriva_ml.ermrest.connect import Connection, Host
from deriva_ml.errors import DerivaMLException, DerivaMLSchemaError, DerivaMLValidationError
from deriva_ml.interrupts import held
from deriva_ml.model.graph import CatalogModel
from deriva_ml.names import ML_SCHEMA
from deriva_ml.schema import terms
from deriva_ml.schema.display import CLIENT_ANNOTATIONS, GROUP_ANNOTATIONS, catalog_annotations
from deriva_ml.schema.policy import Policy, grant
from deriva_ml.schema.tables import ml_schema_document, www_schema_document

logger = logging.getLogger(__name__)


def create_ml_catalog(
    hostname: Host, project_name: str, catalog_alias: str | None = None, *, policy: Policy | None = None
) -> Any:
    """Make a catalog with the whole ML schema, its terms and annotations.

    A folder that is no deployment yet becomes one. When anything fails, the new catalog is deleted again.

    Parameters
    ----------
    hostname : str or path
        A folder, a network name, or ``http://host:port``.
    project_name : str
        Prefix of the short identifiers of terms: letters, digits, ``-`` and ``_``, beginning with a letter.
    catalog_alias : str, optional
        A second id for the catalog.
    policy : Policy, optional
        Who may read, add and change what on a server with accounts; whoever makes the catalog alone by default. A folder
        takes none.

    Returns
    -------
    deriva.core.ErmrestCatalog
        The new catalog; its ``catalog_id`` is what `DerivaML` takes.

    Raises
    ------
    DerivaMLConnectionError
        If the host or the folder cannot be used.
    DerivaMLValidationError
        If `project_name` cannot be such a prefix, or the folder is given a policy.

    Examples
    --------
    >>> catalog = create_ml_catalog("./demo", "digits")  # doctest: +SKIP
    >>> ml = DerivaML("./demo", catalog.catalog_id)  # doctest: +SKIP
    """
    return create_connected(hostname, project_name, catalog_alias, policy=policy).catalog


def create_or_retarget_ml_catalog(hostname: Host, project_name: str, *, alias: str | None = None) -> Any:
    """Make a catalog as `create_ml_catalog` does; an alias that exists already is turned to the new one."""
    return create_connected(hostname, project_name, alias, retarget=True).catalog


def create_connected(
    hostname: Host,
    project_name: str,
    alias: str | None = None,
    *,
    retarget: bool = False,
    domain_schema: str | None = None,
    credential: dict[str, Any] | None = None,
    policy: Policy | None = None,
) -> Connection:
    """Make a catalog as `create_ml_catalog` does, with an empty schema for own tables if named; the connection to it."""
    _check_project(project_name)
    _check_policy(hostname, policy)
    name = f"{project_name} (DerivaML)"
    with _new_catalog(
        hostname, credential=credential, name=name, description=f"Catalog of {project_name}"
    ) as connection:
        documents = {"WWW": www_schema_document(), ML_SCHEMA: ml_schema_document(ML_SCHEMA, project_name)}
        if domain_schema is not None:
            documents.setdefault(domain_schema, {"tables": {}})
        schemas.create_schemas(connection, documents)
        model = CatalogModel(connection.model())
        _annotate(connection, model)
        initialize_ml_schema(connection, model=model)
        if policy is not None:
            # The last step: it may leave nothing to whoever does it but ownership.
            grant(connection, policy)
        if alias is not None:
            connect.bind_alias(connection, alias, retarget)
    return connection


@contextmanager
def _new_catalog(hostname: Host, **options: Any) -> Iterator[Connection]:
    """Make a catalog for a block that fills it; an error or an interruption leaves none."""
    made: list[Connection] = []
    try:
        with held(once=True):
            made.append(connect.create_catalog(hostname, **options))
        yield made[0]
    except BaseException:
        with held(once=True), suppress(DerivaMLException):
            for connection in made:
                connect.delete_catalog(connection)
        raise


def _check_project(name: str) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][-_A-Za-z0-9]*", name):
        raise DerivaMLValidationError(
            f"project_name {name!r} names a schema too: it must be letters a to z, digits, '-' and '_', and begin with a letter."
        )


def _check_policy(hostname: Host, policy: Policy | None) -> None:
    if policy is not None and not isinstance(policy, Policy):
        raise DerivaMLValidationError(f"policy cannot be {policy!r}; give a Policy.")
    if policy is not None and read_address(hostname).folder is not None:
        raise DerivaMLValidationError(
            f"{hostname} is a folder, which has no accounts: who may read and write its files may do everything. Leave out "
            "policy."
        )


def _annotate(connection: Connection, model: CatalogModel) -> None:
    given = model.annotations
    connection.put("/annotation", json={**given, **catalog_annotations(model, connection.catalog_id)})
    for table, shown in (("ERMrest_Client", CLIENT_ANNOTATIONS), ("ERMrest_Group", GROUP_ANNOTATIONS)):
        former = model.schemas["public"].tables[table].annotations
        connection.put(f"/schema/public/table/{table}", json={"annotations": {**former, **shown}})


def _connection_of(catalog: Any) -> Connection:
    """The connection behind a catalog or model that a user holds."""
    if isinstance(catalog, Connection):
        return catalog
    binding = getattr(catalog, "catalog", catalog)
    return connect.connection_of(binding)


def create_ml_schema(
    catalog: Any, schema_name: str = ML_SCHEMA, project_name: str | None = None, *, replace: bool = False
) -> None:
    """Make the ML schema in a catalog.

    Parameters
    ----------
    catalog : ErmrestCatalog, Model or Connection
    schema_name : str
    project_name : str, optional
        Prefix of the short identifiers of terms, by default the name of the schema.
    replace : bool
        Whether a schema of that name that is there already is dropped first, with everything in it.

    Raises
    ------
    DerivaMLSchemaError
        If the schema exists and `replace` is false.
    """
    connection = _connection_of(catalog)
    project = project_name or schema_name
    _check_project(project)
    existing = connection.model()
    if schema_name in existing.schemas:
        if not replace:
            raise DerivaMLSchemaError(
                f"{connection.name} has a schema {schema_name!r} already. initialize_ml_schema() adds what it lacks; "
                "replace=True drops it first, with everything in it."
            )
        logger.warning("dropping schema %s of %s with everything in it", schema_name, connection.name)
        schemas.drop_schema(connection, existing, schema_name)
    schemas.create_schemas(connection, {schema_name: ml_schema_document(schema_name, project)})
    model = CatalogModel(connection.model(), schema_name)
    _annotate(connection, model)
    initialize_ml_schema(connection, schema_name, model=model)


def initialize_ml_schema(
    catalog: Any, schema_name: str = ML_SCHEMA, *, model: CatalogModel | None = None
) -> None:
    """Add the terms and rows that every catalog starts with, where they are missing; safe to repeat.

    Parameters
    ----------
    catalog : ErmrestCatalog, Model or Connection
    schema_name : str
    model : CatalogModel, optional
        The model of that catalog, when the caller has it.
    """
    connection = _connection_of(catalog)
    if model is None:
        model = CatalogModel(connection.model(), schema_name)
    for vocabulary, known in terms.TERMS.items():
        body = [{"Name": name, "Description": text, "Synonyms": []} for name, text in known.items()]
        if body and vocabulary in model.schemas[schema_name].tables:
            rows.insert(connection, model.ml_table(vocabulary), body, skip_conflicts=True)
    _add_sentinels(connection, model)


def _add_sentinels(connection: Connection, model: CatalogModel) -> None:
    def ensure(table: str, column: str, value: str, row: dict[str, Any]) -> str:
        place = model.ml_table(table)
        found = list(rows.read(connection, place, where={column: [value]}, columns=["RID"], page=2))
        return str((found or rows.insert(connection, place, [row]))[0]["RID"])

    workflow = ensure("Workflow", "URL", terms.UNKNOWN_WORKFLOW_URL, terms.unknown_workflow())
    ensure("File", "URL", terms.UNKNOWN_FILE_URL, terms.unknown_file())
    ensure("Execution", "Description", terms.UNKNOWN_EXECUTION, terms.unknown_execution(workflow))
