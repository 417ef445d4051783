"""``deriva-ml-split-dataset``: divide a dataset, recorded as a run of its own."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from deriva_ml.cli.program import program
from deriva_ml.cli.text import box, counted, examples

if TYPE_CHECKING:
    from deriva_ml.dataset.split import PartitionInfo, SplitResult
    from deriva_ml.execution.execution import Execution
    from deriva_ml.ml import DerivaML

PROGRAM = "deriva-ml-split-dataset"
WORKFLOW_TYPE = "Dataset_Split"
_LABELED = ["Labeled"]


def _number(text: str) -> float:
    """A fraction, or a count."""
    try:
        return int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a fraction below 1 nor a number of members"
        ) from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def split_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    where = f"{parser.prog} --hostname ./lab --catalog-id 1 --dataset-rid 1-0B3T"
    examples(
        parser,
        f"{where} --test-size 0.2 --val-size 0.1 --dry-run",
        f"{where} --stratify-by-column Subject.Sex --include-tables Image,Subject",
    )
    parser.add_argument(
        "--hostname", "--host", required=True, metavar="HOST", help="folder, host name, or http://host:port"
    )
    parser.add_argument(
        "--catalog-id", "--catalog", required=True, metavar="ID", help="id or alias of the catalog"
    )
    parser.add_argument("--dataset-rid", required=True, metavar="RID", help="the dataset to divide")
    parser.add_argument(
        "--domain-schema", metavar="NAME", help="schema of the tables (default: the only one)"
    )
    _size_arguments(parser)
    _choice_arguments(parser)
    for part in ("training", "testing", "validation"):
        parser.add_argument(
            f"--{part}-types",
            type=_names,
            default=_LABELED,
            metavar="A,B",
            help=f"further types of the {part} dataset (default: Labeled)",
        )
    parser.add_argument("--description", default="", metavar="TEXT", help="description of the split")
    parser.add_argument(
        "--workflow-type",
        default=WORKFLOW_TYPE,
        metavar="TERM",
        help="term of Workflow_Type for the run (default: %(default)s, which is added where it is missing)",
    )
    parser.add_argument(
        "--working-dir", metavar="DIR", help="working directory of the run (default: the usual one)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only tell how many members each part would get"
    )
    parser.add_argument(
        "--show-urls", action="store_true", help="also tell the addresses of the new datasets"
    )


def _size_arguments(parser: argparse.ArgumentParser) -> None:
    sizes = {
        "test": "testing (default: 0.2)",
        "train": "training (default: the rest)",
        "val": "validation (default: no validation dataset)",
    }
    for name, what in sizes.items():
        parser.add_argument(
            f"--{name}-size",
            type=_number,
            default=0.2 if name == "test" else None,
            metavar="SIZE",
            help=f"fraction below 1, or number of members, for {what}",
        )
    parser.add_argument("--no-shuffle", action="store_true", help="take members in the order of their RIDs")
    parser.add_argument(
        "--seed", type=int, default=42, help="the same seed gives the same parts (default: %(default)s)"
    )


def _choice_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stratify-by-column",
        metavar="TABLE.COLUMN",
        help="give each part its share of every value of this column; needs --include-tables",
    )
    parser.add_argument(
        "--stratify-missing",
        choices=("error", "drop", "include"),
        default="error",
        help="what becomes of members without a value (default: %(default)s)",
    )
    parser.add_argument("--element-table", metavar="TABLE", help="table of the members, if there are several")
    parser.add_argument(
        "--include-tables", type=_names, metavar="A,B", help="tables and features whose columns decide"
    )
    parser.add_argument("--row-per", metavar="TABLE", help="table of which each row makes one joined row")
    parser.add_argument("--via", type=_names, metavar="A,B", help="tables that the join goes through")
    parser.add_argument(
        "--ignore-unrelated-anchors",
        action="store_true",
        help="leave out members that the tables do not reach",
    )
    parser.add_argument(
        "--partition-by",
        choices=("element", "row"),
        help="whether each member is in one part, or each joined row (default: element)",
    )


def split(arguments: argparse.Namespace) -> int:
    """Divide a dataset; 1 when something could not be stored."""
    # Here, so that --help stays instant.
    from deriva_ml.dataset.split import split_dataset
    from deriva_ml.errors import DerivaMLValidationError
    from deriva_ml.ml import DerivaML

    ml = DerivaML(
        arguments.hostname,
        arguments.catalog_id,
        default_schema=arguments.domain_schema,
        working_dir=arguments.working_dir,
    )
    options = _options(arguments)
    if arguments.stratify_by_column and not arguments.include_tables:
        raise DerivaMLValidationError(
            "--stratify-by-column needs --include-tables with the tables that lead to the column, such as Image,Subject."
        )
    try:
        # First without writing, so that wrong options leave no failed run behind.
        result = split_dataset(ml, arguments.dataset_rid, dry_run=True, **options)
    except DerivaMLValidationError as error:
        raise DerivaMLValidationError(_as_typed(str(error), options)) from error
    if arguments.dry_run:
        print(_summary(result, None))
        return 0
    execution = _execution(ml, arguments)
    with execution:
        result = split_dataset(ml, arguments.dataset_rid, execution, **options)
    report = execution.commit_output_assets(clean_folder=True)
    print(_summary(result, execution.execution_rid))
    if arguments.show_urls:
        for name, part in _parts(result):
            print(f"{name}: {ml.cite(part.rid)}")
    for failure in report.errors:
        print(f"{PROGRAM}: {failure}", file=sys.stderr)
    return 1 if report.total_failed else 0


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    same = (
        "test_size train_size val_size seed stratify_by_column stratify_missing element_table include_tables row_per via "
        "ignore_unrelated_anchors partition_by training_types testing_types validation_types"
    )
    return {
        **{name: getattr(arguments, name) for name in same.split()},
        "shuffle": not arguments.no_shuffle,
        "split_description": arguments.description,
    }


def _as_typed(message: str, options: Iterable[str]) -> str:
    """A message with the options as they are typed here instead of as Python has them."""
    message = message.replace("shuffle=False", "--no-shuffle")
    for name in sorted(options, key=len, reverse=True):
        typed = f"--{name.replace('_', '-')}"
        message = re.sub(rf"(?<![\w-]){name}=", f"{typed} ", message)
        message = re.sub(rf"(?<![\w-]){name}\b", typed, message)
    return " ".join(message.split())


def _execution(ml: DerivaML, arguments: argparse.Namespace) -> Execution:
    from deriva_ml.errors import DerivaMLInvalidTerm
    from deriva_ml.names import MLVocab
    from deriva_ml.version import __version__
    from deriva_ml.workflow.workflow import Workflow

    rid, term = arguments.dataset_rid, arguments.workflow_type
    dataset = ml.lookup_dataset(rid)
    try:
        ml.lookup_term(MLVocab.workflow_type, term)
    except DerivaMLInvalidTerm:
        if term != WORKFLOW_TYPE:
            raise
        # Catalogs that were made by earlier releases lack it.
        ml.add_term(MLVocab.workflow_type, term, "Splits a dataset into partitions.")
    workflow = Workflow(
        name=f"{PROGRAM} CLI: {rid}",
        workflow_type=[term],
        description=f"Divides dataset {rid}.",
        # A program of this library is known by its version, wherever it is installed.
        url=f"tag:deriva-ml,{__version__}:{PROGRAM}/{rid}",
        version=__version__,
    )
    about = arguments.description or f"Split of dataset {dataset.dataset_rid}"
    return ml.create_execution(workflow=workflow, description=about)


def _parts(result: SplitResult) -> list[tuple[str, PartitionInfo]]:
    named = {
        "Split": result.split,
        "Training": result.training,
        "Validation": result.validation,
        "Testing": result.testing,
    }
    return [(name, part) for name, part in named.items() if part is not None]


def _summary(result: SplitResult, execution_rid: str | None) -> str:
    lines = [
        ("Source", result.source, ""),
        ("Strategy", f"{result.strategy}, seed {result.seed}", ""),
        ("Members", result.element_table, ""),
    ]
    if execution_rid is not None:
        lines.append(("Execution", execution_rid, ""))
    for name, part in _parts(result):
        noun = "part" if part is result.split else "member"
        made = "" if result.dry_run else f" version {part.version}"
        lines.append((name, f"{part.rid}{made}", counted(part.count, noun)))
    return box("Dataset split (dry run: nothing was written)" if result.dry_run else "Dataset split", lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    description = "Divide the members of a dataset into new datasets for training, testing and validation."
    return program(PROGRAM, description, split_arguments, split, argv)


if __name__ == "__main__":
    sys.exit(main())
