"""``deriva-ml lineage``: how something came to be, or what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.cli.text import examples
from deriva_ml.cli.upload import connected, connection_arguments
from deriva_ml.copies import holding
from deriva_ml.errors import DerivaMLConfigurationError
from deriva_ml.session import session_of

if TYPE_CHECKING:
    from deriva_ml.lineage.report import DescendantsResult, LineageResult

_FORMATS = ("tree", "mermaid", "dot", "json", "prov", "openlineage", "rocrate")
_SUFFIXES = {"tree": "txt", "mermaid": "mmd", "dot": "dot", "openlineage": "jsonl"}
_SHALLOW = 50


def lineage_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(
        parser,
        "deriva-ml lineage 1-ABC --host ./lab --catalog 1",
        "deriva-ml lineage 1-ABC --host ./lab --catalog 1 --down",
        "deriva-ml lineage 1-ABC --host ./lab --catalog 1 --format rocrate --output crate.zip --files",
    )
    parser.add_argument(
        "rid",
        metavar="RID",
        help="dataset, asset, feature value or execution; RID@VERSION for a version of a dataset",
    )
    connection_arguments(parser)
    parser.add_argument("--down", action="store_true", help="what came of it, instead of where it came from")
    parser.add_argument(
        "--depth", type=int, metavar="N", help="generations beyond the nearest execution (default: all)"
    )
    parser.add_argument(
        "--max-executions",
        type=int,
        default=500,
        metavar="N",
        help="stop after so many executions (default: 500)",
    )
    parser.add_argument("--format", choices=_FORMATS, default="tree", help="what to print (default: tree)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write there; of rocrate, a new folder or .zip file"
    )
    parser.add_argument("--files", action="store_true", help="of rocrate: with the bytes of the files")


def lineage(arguments: argparse.Namespace) -> int:
    """Print or write a lineage."""
    if arguments.files and arguments.format != "rocrate":
        raise DerivaMLConfigurationError("--files is for --format rocrate, which can hold files.")
    if arguments.format == "rocrate" and arguments.output is None:
        raise DerivaMLConfigurationError("A crate is a folder or a .zip file: name one with --output.")
    if arguments.format != "rocrate" and arguments.output is not None and arguments.output.is_dir():
        raise DerivaMLConfigurationError(
            f"{arguments.output} is a folder; name a file in it: --output {arguments.output / _name(arguments)}."
        )
    ml = connected(arguments)
    lookup = ml.lookup_descendants if arguments.down else ml.lookup_lineage
    found = lookup(arguments.rid, depth=arguments.depth, max_executions=arguments.max_executions)
    if arguments.format == "rocrate":
        return _crate(ml, found, arguments)
    text = _written(ml, found, arguments.format)
    if arguments.output is None:
        print(text)
    else:
        with holding(f"{arguments.output} cannot be written", "Name another file with --output."):
            arguments.output.write_text(text + "\n", encoding="utf-8")
        print(f"Wrote {arguments.output}.")
    return 0


def _name(arguments: argparse.Namespace) -> str:
    return f"{arguments.rid.partition('@')[0]}.{_SUFFIXES.get(arguments.format, 'json')}"


def _crate(ml: Any, found: LineageResult | DescendantsResult, arguments: argparse.Namespace) -> int:
    from deriva_ml.lineage.facts import provenance
    from deriva_ml.lineage.rocrate import write_crate

    write_crate(provenance(session_of(ml), found), arguments.output, files=arguments.files)
    print(f"Wrote {arguments.output}.")
    return 0


def _written(ml: Any, found: LineageResult | DescendantsResult, form: str) -> str:
    from deriva_ml.lineage.facts import provenance
    from deriva_ml.lineage.openlineage import open_lineage
    from deriva_ml.lineage.prov import prov_json

    writers: Mapping[str, Callable[[], str]] = {
        "tree": found.__str__,
        "mermaid": found.to_mermaid,
        "dot": found.to_dot,
        # Indentation of a long chain would be most of the text.
        "json": lambda: found.model_dump_json(indent=2 if found.executions_visited < _SHALLOW else None),
        "prov": lambda: prov_json(provenance(session_of(ml), found)),
        "openlineage": lambda: open_lineage(provenance(session_of(ml), found)),
    }
    return writers[form]()
