"""The page of dependencies: what an installation brings, under which licence, and why."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/dependencies.md"

REASONS = {
    "bdbag": "bags: making, checking and filling them",
    "deriva": "the client of catalogs and object stores; accounts of Deriva servers",
    "hydra-core": "configurations and sweeps",
    "hydra-zen": "configurations written in Python",
    "msgspec": "values of the catalog service, which are made in C",
    "omegaconf": "what configurations of Hydra are made of",
    "packaging": "versions of datasets",
    "pydantic": "checks of what users ask for, and of records",
    "pyyaml": "configurations of runs as files",
    "requests": "the wire to served catalogs",
    "setuptools-scm": "the version of the code of a run, from its tags",
    "shtab": "completion of commands in shells",
    "sqlalchemy": "SQL of both databases",
    "tqdm": "progress",
    "urllib3": "attempts at requests that are sent again",
    "waitress": "the server of `deriva-ml serve`",
    "werkzeug": "headers, conditions and ranges of HTTP",
    "pyarrow": "wide tables as Arrow and Parquet",
    "beautifulsoup4": "tables of notebooks as Markdown",
    "ipykernel": "the kernel that runs a notebook",
    "jupyter-client": "finding kernels",
    "nbclient": "what papermill runs a notebook with",
    "nbconvert": "notebooks as Markdown",
    "nbformat": "reading notebooks",
    "nbstripout": "the identity of a notebook, whatever it printed",
    "papermill": "running notebooks with parameters",
    "traitlets": "settings of what Jupyter brings",
    "pandas": "data frames",
    "tensorflow": "datasets as `tf.data`",
    "numpy": "arrays in and out of PyTorch",
    "torch": "datasets for PyTorch",
    "psycopg": "catalogs on PostgreSQL",
    "uv": "environments of runs that are reproduced",
    "botocore": "objects on S3",
    "textual": "the screen of `deriva-ml-storage`",
    "bump-my-version": "`bump-version`",
    "openlineage-python": "lineage as OpenLineage events",
    "prov": "lineage as PROV",
    "rocrate": "lineage as RO-Crate",
    "mkdocs-material": "these pages as a site",
    "mkdocstrings": "the reference of Python names",
    "matplotlib": "plots of the example",
    "pillow": "images of the example",
    "scikit-learn": "the model and the digits of the example",
}
"""Why each is there that is named in pyproject.toml."""

_NOT_HERE = {"tensorflow": "Apache-2.0", "torch": "BSD-3-Clause"}
"""Licences of what is too large to be installed wherever this page is made."""

_TITLES = {"": "Always"}


def project() -> dict[str, list[str]]:
    """Requirements by extra, those of the base under the empty name; without what only developers need."""
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        name: given for name, given in written["optional-dependencies"].items() if name not in ("dev", "tf")
    }
    return {"": written["dependencies"], **extras}


def _direct(requirements: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for text in requirements:
        each = Requirement(text)
        if each.marker is None or each.marker.evaluate({"extra": ""}):
            yield canonicalize_name(each.name), frozenset(each.extras)


def needed(requirements: Iterable[str]) -> dict[str, str]:
    """All distributions that requirements bring, each with the one that asks for it first (empty: these do)."""
    queue = [(name, extras, "") for name, extras in _direct(requirements) if name != "deriva-ml"]
    found: dict[str, str] = {}
    asked: set[tuple[str, frozenset[str]]] = set()
    for name, extras, parent in queue:
        found.setdefault(name, parent)
        if (name, extras) in asked:
            continue
        asked.add((name, extras))
        if (installed := _installed(name)) is None:
            continue
        for text in installed.requires or ():
            each = Requirement(text)
            wanted = each.marker is None or any(
                each.marker.evaluate({"extra": one}) for one in (extras or {""})
            )
            if wanted:
                queue.append((canonicalize_name(each.name), frozenset(each.extras), name))
    return found


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def licence(name: str) -> str:
    """As the distribution says itself; empty if it does not, or is not installed."""
    installed = _installed(name)
    if installed is None:
        return _NOT_HERE.get(name, "")
    said = installed.metadata
    if expression := said.get("License-Expression"):
        return expression
    classes = [
        text.split(" :: ") for text in said.get_all("Classifier") or () if text.startswith("License ::")
    ]
    if named := [parts[-1] for parts in classes if parts[-1] != "OSI Approved"]:
        return ", ".join(named)
    first = (said.get("License") or "").strip().split("\n")[0]
    return first if len(first) <= 60 else ""


def page() -> str:
    """The whole page."""
    groups = project()
    base = needed(groups[""])
    lines = [
        "# Dependencies",
        "",
        "What an installation brings, under which licence, and why; licences are as the distributions name them. "
        "Made by `make reference`.",
        "",
        f"`pip install deriva-ml` brings {len(base)} distributions. All else comes with extras, each of which can be "
        "installed alone: `pip install 'deriva-ml[pandas]'`.",
    ]
    for extra, requirements in groups.items():
        brought = base if not extra else {n: p for n, p in needed(requirements).items() if n not in base}
        others = [Requirement(text) for text in requirements if Requirement(text).name == "deriva-ml"]
        lines += ["", f"## {_TITLES.get(extra, f'With the extra {extra}')}", ""]
        if others:
            lines += [f"And all of {', '.join(sorted(one for each in others for one in each.extras))}.", ""]
        lines += ["| distribution | licence | for |", "|---|---|---|"]
        order = sorted(brought, key=lambda name: (brought[name] != "", name))
        lines += [
            f"| {name} | {licence(name) or 'see its page'} | {_reason(name, brought[name])} |"
            for name in order
        ]
    return "\n".join(lines) + "\n"


def _reason(name: str, parent: str) -> str:
    return REASONS[name] if not parent else f"needed by {parent}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
