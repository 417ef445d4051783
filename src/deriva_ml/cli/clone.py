"""``deriva-ml catalog clone`` and ``localize``: catalogs made from others, and the files of their assets."""

from __future__ import annotations

import argparse
from pathlib import Path

from deriva_ml.catalog.clone import clone_via_bag
from deriva_ml.catalog.localize import localize_assets
from deriva_ml.catalog.orphans import OrphanStrategy
from deriva_ml.catalog.policy import ClonePolicy
from deriva_ml.cli.text import examples
from deriva_ml.ermrest.connect import connect

_WHERE = "folder (./lab), host name, or http://host:port"


def clone_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``catalog clone``."""
    examples(
        parser,
        "deriva-ml catalog clone deriva.example.org 1 ./mine --root 1-ABC --alias work",
        "deriva-ml catalog clone ./lab 1 ./copy",
    )
    parser.add_argument("source", metavar="SOURCE", help=f"where the catalog is: {_WHERE}")
    parser.add_argument("catalog", metavar="ID", help="its id or alias; ID@SNAPSHOT for how it was")
    parser.add_argument(
        "dest", metavar="DEST", help="where the clone goes, as SOURCE; a folder is made when missing"
    )
    parser.add_argument(
        "--root",
        metavar="RID",
        action="append",
        help="clone only what belongs to this dataset (or other row); may be repeated",
    )
    parser.add_argument("--into", metavar="ID", help="an empty catalog, or a former clone, in DEST")
    parser.add_argument("--alias", help="a second id for the clone")
    parser.add_argument(
        "--include-table", metavar="TABLE", action="append", default=[], help="take all rows of this table"
    )
    parser.add_argument(
        "--exclude-table", metavar="TABLE", action="append", default=[], help="take no rows of this table"
    )
    parser.add_argument(
        "--orphans",
        default=OrphanStrategy.FAIL.value,
        metavar="{" + ",".join(strategy.value for strategy in OrphanStrategy) + "}",
        help="what happens to rows that refer to rows which are not taken (default: fail)",
    )
    parser.add_argument(
        "--copy-assets", action="store_true", help="copy files also where links to them would do"
    )
    parser.add_argument(
        "--no-versions", action="store_true", help="take only what is there now, not what was released"
    )
    parser.add_argument("--output-dir", type=Path, metavar="FOLDER", help="where bags are kept")


def clone(arguments: argparse.Namespace) -> int:
    """Clone a catalog or a slice of it, and print what was done."""
    policy = ClonePolicy(
        orphans=arguments.orphans,
        include_tables=arguments.include_table,
        exclude_tables=arguments.exclude_table,
        copy_assets=True if arguments.copy_assets else None,
        versions=not arguments.no_versions,
    )
    result = clone_via_bag(
        source_hostname=arguments.source,
        source_catalog_id=arguments.catalog,
        dest_hostname=arguments.dest,
        dest_catalog_id=arguments.into,
        anchors=arguments.root,
        output_dir=arguments.output_dir,
        policy=policy,
        alias=arguments.alias,
    )
    print(result)
    return 1 if result.load_report.failures else 0


def localize_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``catalog localize``."""
    examples(
        parser,
        "deriva-ml catalog localize ./mine 1 Image",
        "deriva-ml catalog localize ./mine 1 Image --dry-run",
    )
    parser.add_argument("hostname", metavar="WHERE", help=_WHERE)
    parser.add_argument("catalog", metavar="ID", help="id or alias of the catalog")
    parser.add_argument("table", metavar="TABLE", help="asset table")
    parser.add_argument("rids", metavar="RID", nargs="*", help="assets (default: all of the table)")
    parser.add_argument("--schema", help="schema of the table, where several have one of that name")
    parser.add_argument("--namespace", help="where the objects go (default: the name of the table)")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="HOST",
        help="where files are whose rows name no host and are not here",
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")


def localize(arguments: argparse.Namespace) -> int:
    """Bring files here, and print what became of them."""
    connection = connect(arguments.hostname, arguments.catalog)
    result = localize_assets(
        connection,
        arguments.table,
        arguments.rids or None,
        schema_name=arguments.schema,
        hatrac_namespace=arguments.namespace,
        dry_run=arguments.dry_run,
        source_hostname=arguments.source,
    )
    print(result)
    return 1 if result.assets_failed else 0
