"""``deriva-ml catalog``: make catalogs."""

from __future__ import annotations

import argparse

from deriva_ml.schema.create import create_connected


def create_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``catalog create``."""
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
