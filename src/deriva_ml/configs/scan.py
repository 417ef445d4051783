"""What the files of a project's configurations declare, read without running them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.specs import AssetSpec, DatasetSpec, LocalFile

# Arguments by name, or what is given in place of all of them, such as a RID in a list.
_Given = dict[str, ast.expr] | ast.expr

# What is declared by a name, and which of its parameters matter here, in the order in which they may be given.
_KINDS: dict[str, tuple[type[DatasetSpec | AssetSpec | LocalFile], tuple[str, ...]]] = {
    "DatasetSpecConfig": (DatasetSpec, ("rid", "version")),
    "DatasetSpec": (DatasetSpec, ("rid", "version")),
    "AssetSpecConfig": (AssetSpec, ("rid",)),
    "AssetSpec": (AssetSpec, ("rid",)),
    "LocalFileConfig": (LocalFile, ("path",)),
    "LocalFile": (LocalFile, ("path",)),
}
# What the texts are that a list of a group holds.
_GROUPS = {"datasets": "DatasetSpec", "assets": "AssetSpec"}


@dataclass(frozen=True)
class Declaration:
    """A dataset, asset or local file that a file names, and where (``file:line``)."""

    place: str
    spec: DatasetSpec | AssetSpec | LocalFile


@dataclass
class Scan:
    """What files declare.

    Parameters
    ----------
    declared : list of Declaration
        In the order of the files and lines.
    problems : list of str
        What no run could use, whatever is in the catalog; each begins with its place.
    unread : list of str
        Declarations whose values only a run knows; each begins with its place.
    """

    declared: list[Declaration] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def read(self, path: Path) -> None:
        """Add what a file declares; one that is no Python is a problem.

        Raises
        ------
        DerivaMLValidationError
            If there is no such file, or it cannot be read.
        """
        try:
            source = path.read_bytes()
        except OSError as error:
            raise DerivaMLValidationError(
                f"{path} cannot be read ({error.strerror}); give a Python file of configurations."
            ) from error
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:
            line, said = (error.lineno, error.msg) if isinstance(error, SyntaxError) else (None, str(error))
            self.problems.append(f"{path}:{line or 1}: it is no Python that can be read: {said}")
            return
        known, constants = _names(tree), _constants(tree)
        stores = {name: group for name, value in constants.items() if (group := _group(value))}
        found: list[tuple[ast.expr, str, _Given]] = []
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            found += [(call, name, given) for name, given in _declared(call, known)]
            found += _listed(call, stores, constants, {*known, "LocalFile", "LocalFileConfig"})
        for node, name, given in sorted(found, key=lambda each: (each[0].lineno, each[0].col_offset)):
            self._add(f"{path}:{node.lineno}", name, given, constants)

    def _add(self, place: str, name: str, given: _Given, constants: dict[str, ast.expr]) -> None:
        values: Any
        try:
            if isinstance(given, dict):
                values = {key: _literal(value, constants) for key, value in given.items()}
            else:
                values = _literal(given, constants)
        except ValueError:
            self.unread.append(f"{place}: only a run knows the values of this {name}")
            return
        try:
            self.declared.append(Declaration(place, _KINDS[name][0].model_validate(values)))
        except DerivaMLValidationError as error:
            self.problems.append(f"{place}: {error}")


def scan_folder(folder: Path, recursive: bool) -> Scan:
    """Read the Python files of a folder; hidden folders, and those of caches, are left out.

    Raises
    ------
    DerivaMLValidationError
        If there is no such folder, or no Python file in it.
    """
    if not folder.is_dir():
        raise DerivaMLValidationError(f"There is no folder {folder}; give the one of your configurations.")
    found = sorted(folder.rglob("*.py") if recursive else folder.glob("*.py"))
    files = [path for path in found if not _is_hidden(path.relative_to(folder))]
    if not files:
        within = " or below it" if recursive else "; recursive=True looks below it too"
        raise DerivaMLValidationError(f"There is no Python file in {folder}{within}.")
    scan = Scan()
    for path in files:
        scan.read(path)
    return scan


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in path.parts)


def _names(tree: ast.Module) -> dict[str, str]:
    """Names by which a file calls the kinds."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    second = {alias.asname: alias.name for node in imports for alias in node.names if alias.asname}
    return {name: name for name in _KINDS} | {new: old for new, old in second.items() if old in _KINDS}


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Values of the names that a file binds once, and nowhere else than at its top."""
    bound = [
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return {
        target.id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name) and bound.count(target.id) == 1
    }


def _declared(call: ast.Call, known: dict[str, str]) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """The kind that a call makes, or that ``builds`` in it will, with its arguments."""
    name, arguments = _called(call)
    if name not in known:
        return
    kind = known[name]
    wanted = _KINDS[kind][1]
    given = dict(zip(wanted, arguments, strict=False))
    given |= {word.arg: word.value for word in call.keywords if word.arg in wanted}
    # What is spread may hold any of them: its name is no literal, so that this is left to the run.
    if any(word.arg is None for word in call.keywords):
        given["**"] = ast.Name("**")
    yield kind, given


def _called(call: ast.Call) -> tuple[str, list[ast.expr]]:
    """Name and arguments of what a call makes, itself or with ``builds``."""
    if _last(call.func) == "builds" and call.args:
        return _last(call.args[0]), call.args[1:]
    return _last(call.func), call.args


def _listed(
    call: ast.Call, stores: dict[str, str], constants: dict[str, ast.expr], told: Collection[str]
) -> Iterator[tuple[ast.expr, str, _Given]]:
    """What a store of datasets or assets is given without naming its kind, such as RIDs, with the kind that it is."""
    group = _group(call) or stores.get(_last(call.func), "")
    if group not in _GROUPS or not call.args:
        return
    given = _value(call.args[0], constants)
    if isinstance(given, ast.Call) and _last(given.func) == "with_description" and given.args:
        given = _value(given.args[0], constants)
    for item in given.elts if isinstance(given, ast.List | ast.Tuple) else [call.args[0]]:
        # What a call of a kind makes is declared by that call.
        value = _value(item, constants)
        if not isinstance(value, ast.Call) or _called(value)[0] not in told:
            yield item, _GROUPS[group], item


def _group(call: ast.expr) -> str:
    """The group of configurations that a call names."""
    words = call.keywords if isinstance(call, ast.Call) else []
    named = [
        word.value.value for word in words if word.arg == "group" and isinstance(word.value, ast.Constant)
    ]
    return str(named[0]) if named else ""


def _last(name: ast.expr) -> str:
    return name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""


def _literal(value: ast.expr, constants: dict[str, ast.expr]) -> Any:
    return ast.literal_eval(_value(value, constants))


def _value(value: ast.expr, constants: dict[str, ast.expr]) -> ast.expr:
    return constants.get(value.id, value) if isinstance(value, ast.Name) else value
