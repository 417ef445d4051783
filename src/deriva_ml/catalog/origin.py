"""Where a catalog came from: an annotation of the catalog."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deriva_ml.ermrest.connect import Connection, connection_of
from deriva_ml.ermrest.rows import escaped
from deriva_ml.errors import DerivaMLDataError, DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.session import Session


class CatalogCreationMethod(StrEnum):
    """How a catalog came to be."""

    clone = "clone"
    create = "create"
    schema = "schema"
    unknown = "unknown"


class CloneDetails(BaseModel):
    """What a clone is a clone of.

    Parameters
    ----------
    source_hostname, source_catalog_id, source_snapshot : str
        The catalog, at the moment that was taken.
    anchors : dict
        Table (``schema:Table``) to RIDs of the rows that the slice hangs on; empty for a whole catalog.
    datasets : list of str
        The datasets whose releases can be read in the clone.
    include_tables, exclude_tables : list of str
        Tables that were taken with all their rows, or left out.
    orphan_strategy : str
        What was done with references that lead out of the slice.
    copied_files : bool
        Whether the bytes of assets are in the object store of this catalog.
    snapshots : dict
        Snapshot of the source to the snapshot of this catalog that shows the same rows.
    complete : bool
        False while it is being made.
    """

    model_config = ConfigDict(extra="ignore")

    source_hostname: str
    source_catalog_id: str
    source_snapshot: str
    anchors: dict[str, list[str]] = Field(default_factory=dict)
    datasets: list[str] = Field(default_factory=list)
    include_tables: list[str] = Field(default_factory=list)
    exclude_tables: list[str] = Field(default_factory=list)
    orphan_strategy: str = "fail"
    copied_files: bool = False
    snapshots: dict[str, str] = Field(default_factory=dict)
    complete: bool = False


class CatalogProvenance(BaseModel):
    """How, when and by whom a catalog was made.

    Parameters
    ----------
    creation_method : CatalogCreationMethod
    created_at : str
        ISO 8601, with the time zone.
    created_by : str, optional
    hostname, catalog_id : str
        Of this catalog.
    name, description, workflow_url : str, optional
        As its maker called it, and the code that made it.
    clone_details : CloneDetails, optional
        Of a clone.
    """

    model_config = ConfigDict(extra="ignore")

    creation_method: CatalogCreationMethod = CatalogCreationMethod.unknown
    created_at: str | None = None
    created_by: str | None = None
    hostname: str | None = None
    catalog_id: str | None = None
    name: str | None = None
    description: str | None = None
    workflow_url: str | None = None
    clone_details: CloneDetails | None = None

    @property
    def is_clone(self) -> bool:
        """Whether the catalog was made from another one."""
        return self.clone_details is not None


def get_catalog_provenance(catalog: Any) -> CatalogProvenance | None:
    """Where a catalog came from, None where nobody has noted that.

    Parameters
    ----------
    catalog : ErmrestCatalog or DerivaML

    Raises
    ------
    DerivaMLDataError
        If what was noted cannot be read.
    """
    connection = catalog_connection(catalog)
    return provenance_in(connection.document(), connection.name)


def provenance_in(document: dict[str, Any], name: str) -> CatalogProvenance | None:
    """As `get_catalog_provenance`, from the document of a catalog."""
    noted = (document.get("annotations") or {}).get(tags.CATALOG_PROVENANCE)
    if noted is None:
        return None
    try:
        return CatalogProvenance.model_validate(noted)
    except ValidationError as error:
        raise DerivaMLDataError(
            f"What {name} says about its origin cannot be read (annotation {tags.CATALOG_PROVENANCE}): {error}"
        ) from error


def set_catalog_provenance(
    catalog: Any,
    name: str | None = None,
    description: str | None = None,
    workflow_url: str | None = None,
    creation_method: CatalogCreationMethod | str = CatalogCreationMethod.create,
) -> CatalogProvenance:
    """Note by what and why a catalog was made; what is known of a clone stays.

    Parameters
    ----------
    catalog : ErmrestCatalog or DerivaML
    name, description : str, optional
    workflow_url : str, optional
        The code that made it.
    creation_method : CatalogCreationMethod or str

    Returns
    -------
    CatalogProvenance
        What stands there now.

    Examples
    --------
    >>> set_catalog_provenance(catalog, name="Eyes", description="Images of 2024")  # doctest: +SKIP
    """
    connection = catalog_connection(catalog)
    try:
        method = CatalogCreationMethod(creation_method)
    except ValueError:
        known = ", ".join(CatalogCreationMethod)
        raise DerivaMLValidationError(
            f"{creation_method!r} makes no catalog; choose one of {known}."
        ) from None
    former = get_catalog_provenance(connection) or _new(connection, method)
    given = {"name": name, "description": description, "workflow_url": workflow_url}
    made = former.model_copy(update={key: value for key, value in given.items() if value is not None})
    _put(connection, made)
    return made


def note_clone(connection: Connection, details: CloneDetails) -> CatalogProvenance:
    """Note of what a catalog is a clone, and how far that is."""
    former = get_catalog_provenance(connection) or _new(connection, CatalogCreationMethod.clone)
    made = former.model_copy(
        update={"creation_method": CatalogCreationMethod.clone, "clone_details": details}
    )
    _put(connection, made)
    return made


def _new(connection: Connection, method: CatalogCreationMethod) -> CatalogProvenance:
    client = connection.whoami() or {}
    return CatalogProvenance(
        creation_method=method,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        created_by=client.get("display_name") or client.get("id"),
        hostname=connection.authority,
        catalog_id=connection.catalog_id,
    )


def _put(connection: Connection, provenance: CatalogProvenance) -> None:
    connection.put(
        f"/annotation/{escaped(tags.CATALOG_PROVENANCE)}",
        json=provenance.model_dump(mode="json", exclude_none=True),
        doing=f"Noting the origin of {connection.name}",
    )


def catalog_connection(catalog: Any) -> Connection:
    """The connection to what a user calls a catalog: an open `DerivaML`, a binding of deriva-py, or a connection."""
    if isinstance(catalog, Connection):
        return catalog
    session = getattr(catalog, "_session", catalog)
    if isinstance(session, Session):
        return session.connection
    return connection_of(catalog)
