"""``deriva-ml-validate-schema``: whether the page that describes the ML schema says what the code makes."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from deriva_ml.cli.program import program
from deriva_ml.cli.text import counted, examples
from deriva_ml.errors import DerivaMLConfigurationError
from deriva_ml.names import ML_SCHEMA
from deriva_ml.schema import page, tables, terms

PROGRAM = "deriva-ml-validate-schema"
PAGE = Path("docs/reference/schema.md")
UNREADABLE = 2
_MOST_LINES = 40


def validate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(parser, parser.prog, f"{parser.prog} --doc docs/reference/schema.md --write")
    parser.add_argument(
        "--doc", type=Path, default=PAGE, metavar="FILE", help="the page, in Markdown (default: %(default)s)"
    )
    parser.add_argument(
        "--code",
        type=Path,
        metavar="FILE",
        help="a Python file with ml_schema_document(schema, project) (default: the installed one)",
    )
    parser.add_argument("--write", action="store_true", help="make the page anew instead of comparing it")


def validate(arguments: argparse.Namespace) -> int:
    """Compare page and code: 0 when they agree, 1 when not, 2 when one cannot be read."""
    wanted = schema_reference(arguments.code)
    if arguments.write:
        arguments.doc.write_text(wanted, encoding="utf-8")
        print(f"Wrote {arguments.doc}.")
        return 0
    try:
        found = arguments.doc.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DerivaMLConfigurationError(
            f"{arguments.doc} cannot be read: {error}. Name the page with --doc, or make it with --write."
        ) from error
    if found == wanted:
        print(f"{arguments.doc} and the code agree.")
        return 0
    changed = [
        *difflib.unified_diff(
            found.splitlines(), wanted.splitlines(), str(arguments.doc), "code", lineterm="", n=1
        )
    ]
    print("\n".join(changed[:_MOST_LINES]))
    if len(changed) > _MOST_LINES:
        print(f"… and {counted(len(changed) - _MOST_LINES, 'more line')}")
    print(f"{arguments.doc} and the code differ; make the page anew with --write.", file=sys.stderr)
    return 1


def schema_reference(code: Path | None = None) -> str:
    """The page as it should be.

    Parameters
    ----------
    code : Path, optional
        A Python file in place of `deriva_ml.schema.tables`.

    Raises
    ------
    DerivaMLConfigurationError
        If the file cannot be run, or does not make a schema document.
    """
    known: Mapping[str, Mapping[str, str]] = terms.TERMS
    if code is None:
        return page.schema_page(tables.ml_schema_document(ML_SCHEMA, "project"), known)
    try:
        return page.schema_page(_module(code).ml_schema_document(ML_SCHEMA, "project"), known)
    except Exception as error:  # the code is somebody's, and may raise anything
        raise DerivaMLConfigurationError(
            f"{code} does not make a schema document: {type(error).__name__}: {error}."
        ) from error


def _module(code: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location("schema_under_test", code)
    if found is None or found.loader is None:
        raise ImportError(f"{code} is not a Python file")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    description = "Compare the page that describes the ML schema with the code that makes it."
    return program(PROGRAM, description, validate_arguments, validate, argv, failed=UNREADABLE)


if __name__ == "__main__":
    sys.exit(main())
