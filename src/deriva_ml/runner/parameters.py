"""Parameters of a notebook: which it has, and the values that somebody gives."""

from __future__ import annotations

import ast
import difflib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.runner.kernel import needed

logger = logging.getLogger(__name__)

_KINDS = {".json": "JSON", ".yaml": "YAML", ".yml": "YAML"}
_TAG = "parameters"
_PLAIN = {"int": "a number", "float": "a number", "bool": "true or false"}
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a notebook.

    Parameters
    ----------
    name : str
    type : str
        As annotated, else that of the default, ``None`` where neither tells.
    default : str
        Its code.
    """

    name: str
    type: str
    default: str


def read_notebook(path: Path) -> Any:
    """Read a notebook.

    Raises
    ------
    DerivaMLValidationError
        If it is none.
    """
    with needed():
        import nbformat
    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, ValueError, AttributeError) as error:
        raise DerivaMLValidationError(
            f"{path} cannot be read as a notebook ({str(error).splitlines()[0][:100]}); open it in Jupyter and save it."
        ) from error


def inspect(path: Path) -> list[Parameter]:
    """Parameters of a notebook: what its cell with the tag ``parameters`` assigns."""
    with needed():
        from papermill.translators import papermill_translators
    document = read_notebook(path)
    kernel = document.metadata.get("kernelspec", {})
    language = kernel.get("language") or document.metadata.get("language_info", {}).get("name") or "python"
    translator = papermill_translators.find_translator(kernel.get("name", ""), language)
    found = [each for cell in _tagged(document)[:1] for each in translator.inspect(cell)]
    return [Parameter(each.name, _type_of(each), each.default) for each in found]


def _type_of(found: Any) -> str:
    if found.inferred_type_name != "None":
        return str(found.inferred_type_name)
    try:
        return type(ast.literal_eval(found.default)).__name__
    except (ValueError, SyntaxError):
        return "None"


def _tagged(document: Any) -> list[Any]:
    return [cell for cell in document.cells if _TAG in cell.metadata.get("tags", ())]


def value_of(text: str) -> int | float | str:
    """The value that a text on the command line stands for.

    Examples
    --------
    >>> value_of("50"), value_of("0.001"), value_of("adam")
    (50, 0.001, 'adam')
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_file(path: Path) -> dict[str, Any]:
    """Read a file of parameters.

    Parameters
    ----------
    path : Path
        JSON or YAML, by its suffix.

    Raises
    ------
    DerivaMLValidationError
        If there is no such file, or it does not give names values.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise DerivaMLValidationError(f"{path} is no file of parameters; give a .json or .yaml file.")
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if kind == "JSON" else yaml.safe_load(text)
    except OSError as error:
        raise DerivaMLValidationError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise DerivaMLValidationError(f"{path} cannot be read as {kind}: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        shown = '{"epochs": 50}' if kind == "JSON" else "epochs: 50"
        raise DerivaMLValidationError(f"{path} does not give names values; write it like {shown}.")
    return found


def as_overrides(path: Path, overrides: Iterable[str]) -> list[str]:
    """Names and values of overrides that are named like parameters of a notebook, as ``-p`` takes them."""
    known = _assigned(read_notebook(path)) or ()
    pairs = (override.partition("=") for override in overrides)
    return [word for name, _, value in pairs if name in known for word in (name, value)]


def check_names(path: Path, given: Mapping[str, Any]) -> None:
    """Refuse parameters that a notebook does not have, which would be set for nothing.

    Raises
    ------
    DerivaMLValidationError
        Names those that it has; or says that it is no notebook.
    """
    document = read_notebook(path)
    if not given:
        return
    known = _assigned(document)
    if known is None:
        logger.warning(
            "%s has no cell with the tag %r, so %s is set at its beginning, whether it is used or not.",
            path.name,
            _TAG,
            ", ".join(given),
        )
        return
    unknown = [name for name in given if name not in known]
    if unknown:
        near = [match for name in unknown for match in difflib.get_close_matches(name, known, n=1)]
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise DerivaMLValidationError(
            f"{path.name} has no parameter {', '.join(unknown)}.{hint} It has {', '.join(known) or 'none'}. "
            f"Show them with --inspect, or assign it in the cell with the tag {_TAG!r}."
        )


def of_kinds(path: Path, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the kinds that parameters have: a text in place of a number fails late, and one of false is true.

    Parameters
    ----------
    path : Path
    typed : mapping
        Name to value, as `value_of` makes it of what is typed.

    Raises
    ------
    DerivaMLValidationError
        Names the first text that is no such value, and the kind.
    """
    plain, found = _plain(read_notebook(path)), dict(typed)
    for name, value in typed.items():
        if not isinstance(value, str) or name not in plain:
            continue
        kind, default = plain[name]
        if kind == "bool" and value.lower() in _TRUTHS:
            found[name] = _TRUTHS[value.lower()]
            continue
        raise DerivaMLValidationError(
            f"The parameter {name} of {path.name} is {_PLAIN[kind]} ({kind}), not {value!r}; "
            f"write it like -p {name} {default}, which is the default."
        )
    return found


def _plain(document: Any) -> dict[str, tuple[str, str]]:
    """Kind and default of the parameters that can only be numbers or truths, not of those annotated with anything else."""
    found: dict[str, tuple[str, str]] = {}
    tree = _tree(document)
    for node in tree.body if tree is not None else ():
        targets: list[ast.expr]
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, code, kind = [node.target], node.value, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign):
            targets, code, kind = node.targets, node.value, ""
        else:
            continue
        try:
            default = ast.literal_eval(code)
        except (ValueError, TypeError):
            continue
        own = type(default).__name__
        if own in _PLAIN and (kind in _PLAIN or not kind):
            names = (target.id for target in targets if isinstance(target, ast.Name))
            found.update(dict.fromkeys(names, (kind or own, ast.unparse(code))))
    return found


def _assigned(document: Any) -> list[str] | None:
    """Names that the parameters' cell assigns, None when there is no such cell or it is not Python alone."""
    tree = _tree(document)
    return None if tree is None else list(dict.fromkeys(_stored(ast.walk(tree))))


def _tree(document: Any) -> ast.Module | None:
    """The parameters' cell, None when there is no such cell or it is not Python alone."""
    cells = _tagged(document)
    if not cells:
        return None
    try:
        tree: ast.Module = ast.parse(cells[0].source)
    except SyntaxError:
        return None
    return tree


def _stored(nodes: Iterable[ast.AST]) -> Iterable[str]:
    return (node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def config_name_of(path: Path) -> str:
    """Name of the configuration that a notebook uses: what it gives to ``run_notebook``, else its own name."""
    for cell in read_notebook(path).cells:
        if cell.cell_type != "code" or "run_notebook" not in cell.source:
            continue
        plain = "\n".join(
            line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!"))
        )
        try:
            nodes = list(ast.walk(ast.parse(plain)))
        except SyntaxError:
            continue
        for node in nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "run_notebook":
                given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "config_name")]
                if given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
                    return given[0].value
    return path.stem
