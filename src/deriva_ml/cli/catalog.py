"""``deriva-ml catalog``: make, list and delete catalogs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from shlex import quote

from deriva_ml.cli.ask import agreed
from deriva_ml.cli.text import examples, size, table
from deriva_ml.ermrest.connect import connect, delete_catalog
from deriva_ml.ermrest.listing import CatalogEntry, delete_alias, list_catalogs
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLConnectionError
from deriva_ml.schema.create import create_connected
from deriva_server.catalogs.registry import Registry
from deriva_server.config import ServerConfig
from deriva_server.deployment import Deployment
from deriva_server.errors import DeploymentError, ServiceError
from deriva_server.sql.databases import open_databases

_WHERE = "folder (./lab), host name, or http://host:port"


def create_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``catalog create``."""
    examples(parser, "deriva-ml catalog create ./lab eyes --schema clinic --alias main")
    parser.add_argument(
        "hostname", metavar="HOST", help="folder (./demo; made when missing), host name, or http://host:port"
    )
    parser.add_argument(
        "project", metavar="PROJECT", help="prefix of the identifiers of terms, e.g. the project's name"
    )
    parser.add_argument("--alias", help="a second id for the catalog")
    parser.add_argument(
        "--retarget", action="store_true", help="turn the alias to the new catalog when it exists already"
    )
    parser.add_argument(
        "--schema", help="also make an empty schema of this name for the project's own tables"
    )


def create(arguments: argparse.Namespace) -> int:
    """Make a catalog with the ML schema."""
    connection = create_connected(
        arguments.hostname,
        arguments.project,
        arguments.alias,
        retarget=arguments.retarget,
        domain_schema=arguments.schema,
    )
    print(f"Made {connection.name}.")
    print(f"Open it with: DerivaML({connection.host!r}, {connection.catalog_id!r})")
    return 0


def list_all_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``catalog list``."""
    examples(parser, "deriva-ml catalog list ./lab", "deriva-ml catalog list http://localhost:8080")
    parser.add_argument("hostname", metavar="WHERE", nargs="?", default=".", help=f"{_WHERE} (default: .)")


def list_all(arguments: argparse.Namespace) -> int:
    """Print a line per catalog, in the order of their creation."""
    found = list_catalogs(arguments.hostname)
    if not found:
        print(f"There are no catalogs in {arguments.hostname}.")
        return 0
    heads = ("ID", "NAME", "OWNER", "CREATED", "CHANGED", "ALIASES")
    print(table([heads, *map(_cells, found)]))
    return 0


def _cells(entry: CatalogEntry) -> tuple[str, ...]:
    owner, aliases = ", ".join(entry.owner), ", ".join(entry.aliases)
    return entry.id, entry.name, owner, _local(entry.created), _local(entry.changed), aliases


def _local(time: datetime | None) -> str:
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M")


def delete_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``catalog delete``."""
    examples(parser, "deriva-ml catalog delete ./lab 3", "deriva-ml catalog delete ./lab 3 --yes")
    parser.add_argument("hostname", metavar="WHERE", help=_WHERE)
    parser.add_argument(
        "catalog", metavar="ID", help="id of the catalog; of an alias, only the alias is deleted"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def delete(arguments: argparse.Namespace) -> int:
    """Delete a catalog, or an alias, after asking."""
    connection = connect(arguments.hostname, arguments.catalog)
    if connection.is_snapshot:
        raise DerivaMLConfigurationError(
            f"{connection.name} is a snapshot; name the catalog alone to delete it."
        )
    document = connection.document()
    title = f" {document['name']!r}" if document.get("name") else ""
    target = document.get("alias_target")
    if target is not None:
        what = f"the alias {connection.catalog_id} on {connection.host} (catalog {target}{title} stays)"
    else:
        what = f"{connection.name}{title} with all its rows and their history"
    if not arguments.yes and not agreed(f"Delete {what}? "):
        return 1
    if target is not None:
        delete_alias(connection)
        print(f"Deleted the alias {connection.catalog_id}. Catalog {target} is as it was.")
        return 0
    delete_catalog(connection)
    print(f"Deleted {connection.name}. Its id will not be used again; files in the object store stay.")
    if connection.is_embedded:
        print(f"Free its space on disk with: deriva-ml catalog purge {quote(arguments.hostname)} --yes")
    return 0


def purge_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``catalog purge``."""
    examples(parser, "deriva-ml catalog purge ./lab", "deriva-ml catalog purge ./lab --yes")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a deployment")
    parser.add_argument(
        "--yes", action="store_true", help="remove; else it is only told what would be removed"
    )


def purge(arguments: argparse.Namespace) -> int:
    """Remove the files of deleted catalogs, or tell which these are."""
    try:
        deployment = Deployment.open(arguments.folder)
        address = ServerConfig.load(deployment.folder).database
        databases = open_databases(deployment.folder, deployment.id, address)
        with closing(Registry(databases)) as registry:
            sizes = {entry.id: registry.size(entry.id) for entry in registry.purgeable()}
            gone = registry.purge() if arguments.yes else sizes
    except (DeploymentError, ServiceError) as error:
        raise DerivaMLConnectionError(str(error)) from error
    if not gone:
        print(f"No deleted catalog takes space in {deployment.folder}.")
        return 0
    verb = "Removed" if arguments.yes else "Would remove"
    print(f"{verb} {size(sum(sizes.get(id, 0) for id in gone))} of deleted catalogs: {_ids(gone)}.")
    if not arguments.yes:
        print("Nothing was changed; say --yes to remove them for ever.")
    return 0


def _ids(ids: Iterable[str]) -> str:
    return ", ".join(ids)
