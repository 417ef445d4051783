"""Suggest configurations of a project: Python text that declares what is in the catalog."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deriva_ml.asset import asset as assets
from deriva_ml.configs.groups import RUN_DEFAULTS
from deriva_ml.dataset import registry, view
from deriva_ml.dataset import version as labels
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model.graph import Table
from deriva_ml.names import MLTable, MLVocab, did_you_mean, one_or_more
from deriva_ml.schema.terms import UNKNOWN_WORKFLOW_URL
from deriva_ml.session import Session
from deriva_ml.vocabulary import require_terms
from deriva_ml.workflow import workflow as workflows

MOST_ASSETS = 5
"""Files of one table that are suggested: a catalog may have a million."""

_LONGEST = 100
_LONGEST_NAME = 40
_NOT_SUGGESTED = (MLTable.file, MLTable.execution_metadata)
"""Tables of files that only one machine has, and of those that describe runs."""

_DESCRIBED = "from deriva_ml.execution import with_description"
_IMPORTS = {
    "datasets": ("from deriva_ml.dataset import DatasetSpecConfig", _DESCRIBED),
    "assets": ("from deriva_ml.execution import AssetSpecConfig, with_description",),
    "workflow": ("from deriva_ml.execution import Workflow",),
}


@dataclass(frozen=True, repr=False)
class ConfigSuggestions:
    """Result of `bootstrap_config`; printed, it is Python text that can be pasted into modules of ``configs``.

    Parameters
    ----------
    texts : mapping of str to str
        Group of options (``datasets``, ``assets``, ``workflow``) to the text of a module that declares some.
    """

    texts: Mapping[str, str]

    def __str__(self) -> str:
        return "\n".join(self.texts.values())

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return f"```python\n{self}```\n"


def bootstrap_config(
    session: Session,
    *,
    kinds: str | Iterable[str] | None = None,
    dataset_type_filter: str | Iterable[str] | None = None,
) -> ConfigSuggestions:
    """Suggest configurations of what is in the catalog, to be pasted into the modules of a project's ``configs``.

    Datasets come with their last release, workflows by their names, both with all that the catalog has; of each asset
    table the newest files, without those that describe executions and those that were only registered.

    Parameters
    ----------
    session : Session
    kinds : str or list of str, optional
        Groups of options: ``datasets``, ``assets``, ``workflow``; all by default.
    dataset_type_filter : str or list of str, optional
        Only datasets that have one of these types.

    Returns
    -------
    ConfigSuggestions

    Raises
    ------
    DerivaMLValidationError
        If there is no such kind.
    DerivaMLInvalidTerm
        If there is no such dataset type.

    Examples
    --------
    >>> print(ml.bootstrap_config(kinds="datasets", dataset_type_filter="Training"))  # doctest: +SKIP
    """
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "datasets": lambda: _datasets(session, one_or_more("dataset_type_filter", dataset_type_filter)),
        "assets": lambda: _assets(session),
        "workflow": lambda: _workflows(session),
    }
    wanted = list(dict.fromkeys(one_or_more("kinds", kinds))) or list(makers)
    for kind in wanted:
        if kind not in makers:
            raise DerivaMLValidationError(
                f"There is no kind {kind!r} of configurations to suggest; "
                f"there are {', '.join(makers)}.{did_you_mean(kind, makers)}"
            )
    return ConfigSuggestions({kind: _module(kind, session, list(makers[kind]())) for kind in wanted})


def _module(kind: str, session: Session, entries: Sequence[str]) -> str:
    title = f"# Of {session.connection.name}, to choose from: {kind}=NAME"
    if not entries:
        return f"{title}\n# There is nothing to declare yet.\n"
    names = "builds, store" if kind == "workflow" else "store"
    head = [title, f"from hydra_zen import {names}", "", *_IMPORTS[kind], ""]
    return "\n".join([*head, f'{kind}_store = store(group="{kind}")', *entries]) + "\n"


class _Names:
    """Names of options, each once."""

    def __init__(self) -> None:
        self._taken = set(RUN_DEFAULTS.values())

    def of(self, text: str, kind: str, rid: str) -> str:
        """A name that says what `text` says; that of the kind and the RID where it says nothing."""
        rid = rid.lower().replace("-", "_")
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
        if len(name) > _LONGEST_NAME:
            name = name[:_LONGEST_NAME].rpartition("_")[0] or name[:_LONGEST_NAME]
        # Hydra reads digits, and words such as true and null, as values of another kind.
        if not name or name[0].isdigit() or name in ("true", "false", "null", "nan", "inf"):
            name = f"{kind}_{name or rid}"
        name = f"{name}_{rid}" if name in self._taken else name
        self._taken.add(name)
        return name


def _quoted(text: str) -> str:
    """A Python literal of a text on one line, in which OmegaConf finds nothing to replace.

    It offers an escape, but resolves some configurations twice.
    """
    line = " ".join(text.split()).replace("${", "$ {")
    line = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    return json.dumps(line, ensure_ascii=False)


def _option(kind: str, declared: str, description: str, name: str) -> str:
    return "\n".join(
        [
            f"{kind}_store(",
            "    with_description(",
            f"        [{declared}],",
            f"        {_quoted(description)},",
            "    ),",
            f'    name="{name}",',
            ")",
        ]
    )


def _described(text: str | None, otherwise: str) -> str:
    """A description; OmegaConf takes ``???`` for a value that is missing."""
    return text if text and text.strip(" ?\n\t\r") else otherwise


def _datasets(session: Session, types: Sequence[str]) -> Iterator[str]:
    wanted = set(require_terms(session, session.ml_table(MLVocab.dataset_type), types))
    found = registry.find(session, sort=True)
    rids = [row["RID"] for row in found]
    known = view.types_of(session.reader, rids) if rids else {}
    entries = view.history(session.reader, rids) if rids else []
    names = _Names()
    for row in found:
        rid = row["RID"]
        available = [entry.dataset_version for entry in entries if entry.dataset_rid == rid]
        if not available or (wanted and wanted.isdisjoint(known[rid])):
            continue
        label = labels.choose(available, None, rid)
        text = _described(row["Description"], ", ".join([f"Dataset {rid}", *known[rid]]))
        name = names.of(row["Description"] or "", "dataset", rid)
        yield _option("datasets", f'DatasetSpecConfig(rid="{rid}", version="{label}")', text, name)


def _assets(session: Session) -> Iterator[str]:
    names = _Names()
    for table, *_ in session.model.linked_assets():
        if table not in [session.ml_table(name) for name in _NOT_SUGGESTED]:
            yield from _newest(session, table, names)


def _newest(session: Session, table: Table, names: _Names) -> Iterator[str]:
    path = f"/entity/{rows.path_of(table)}@sort(RCT::desc::,RID::desc::)?limit={MOST_ASSETS}"
    found = rows.query(session.connection, path)
    types = assets.types_of(session, table, [row["RID"] for row in found]) if found else {}
    for row in found:
        rid, filename = row["RID"], row["Filename"] or ""
        facts = [filename or f"File {rid}", table.name, *sorted(types.get(rid, []))]
        name = names.of(filename.rpartition(".")[0] or filename, "asset", rid)
        text = _described(row["Description"], ", ".join(dict.fromkeys(facts)))
        yield _option("assets", f'AssetSpecConfig(rid="{rid}")', text, name)
    if len(found) == MOST_ASSETS:
        more = rows.count(session.connection, table) - len(found)
        if more > 0:
            yield f'# {more} older ones in {table.name}: ml.list_assets("{table.name}") lists them.'


def _workflows(session: Session) -> Iterator[str]:
    names, seen = _Names(), set[str]()
    for workflow in workflows.find(session, sort=True):
        title = workflow.name or ""
        # Each state of the code is a workflow of its own; what runs says anew which code it is.
        if not title or title in seen or workflow.url == UNKNOWN_WORKFLOW_URL:
            continue
        seen.add(title)
        types = ", ".join(map(_quoted, workflow.workflow_type))
        yield "\n".join(
            [
                "workflow_store(",
                "    builds(",
                "        Workflow,",
                f"        name={_quoted(title)},",
                f"        workflow_type=[{types}],",
                f"        description={_quoted(_described(workflow.description, title))},",
                "        populate_full_signature=True,",
                "    ),",
                f'    name="{names.of(title, "workflow", workflow.workflow_rid or "")}",',
                ")",
            ]
        )
