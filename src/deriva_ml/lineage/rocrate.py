"""Lineage as an RO-Crate of the profile Workflow Run Crate; the only door to the library ``rocrate``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.asset.download import download
from deriva_ml.errors import DerivaMLConfigurationError
from deriva_ml.extras import needed
from deriva_ml.names import ENDED_BADLY

if TYPE_CHECKING:
    from deriva_ml.lineage.facts import Provenance, Run, Thing

_PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)


def write_crate(found: Provenance, target: Path, *, files: bool = False) -> Path:
    """Write a crate.

    Parameters
    ----------
    found : Provenance
    target : Path
        A folder, or a file whose name ends with ``.zip``.
    files : bool
        Whether the crate holds the bytes of files, not only their addresses and checksums.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    DerivaMLDependencyError
        If the library is not installed.
    DerivaMLConfigurationError
        If there is something else at `target`.
    """
    with needed("RO-Crate needs", "provenance"):
        from rocrate.rocrate import ROCrate
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise DerivaMLConfigurationError(f"{target} exists already; name a new folder or .zip file.")
    crate = ROCrate()
    crate.name, crate.description = found.title, f"How {found.title} came to be, or what came of it."
    with tempfile.TemporaryDirectory(prefix="deriva-crate-") as folder:
        things = {
            key: _thing(crate, found, thing, Path(folder), files) for key, thing in found.things.items()
        }
        workflows = _workflows(crate, found)
        for rid, run in found.runs.items():
            _action(crate, found, rid, run, workflows, things)
        _conform(crate)
        if target.suffix == ".zip":
            target.parent.mkdir(parents=True, exist_ok=True)
            crate.write_zip(target)
        else:
            crate.write(target)
    return target


def _thing(crate: Any, found: Provenance, thing: Thing, folder: Path, files: bool) -> Any:
    facts: dict[str, Any] = {"name": thing.name, "identifier": thing.key}
    if thing.kind == "Dataset":
        if thing.version:
            facts["version"] = thing.version
        return crate.add_dataset(found.url(thing.key), properties=facts)
    row, url = thing.row, str(thing.row["URL"])
    facts |= {"contentSize": str(row["Length"]), "md5": row["MD5"]}
    if row.get("Description"):
        facts["description"] = row["Description"]
    is_stored = url.startswith("/")
    if files and is_stored:
        source = download(found.session, row, folder / thing.rid)
        return crate.add_file(source, f"files/{thing.kind}/{thing.rid}/{source.name}", properties=facts)
    address = found.session.connection.url(url) if is_stored else url
    return crate.add_file(address if "://" in address else found.url(thing.rid), properties=facts)


def _workflows(crate: Any, found: Provenance) -> dict[str, Any]:
    """The workflows, of which that of the nearest execution is the main one."""
    made: dict[str, Any] = {}
    for run in found.runs.values():
        workflow = run.workflow
        if not workflow or workflow["RID"] in made:
            continue
        url = workflow.get("URL") or ""
        facts = {"name": workflow["Name"], "identifier": workflow["RID"]}
        if workflow.get("Version"):
            facts["version"] = workflow["Version"]
        address = url if "://" in url else found.url(workflow["RID"])
        made[workflow["RID"]] = _workflow(crate, address, facts, is_main=not made)
    return made


def _workflow(crate: Any, url: str, facts: dict[str, Any], *, is_main: bool) -> Any:
    language = crate.dereference("#python")
    if language is None:
        from rocrate.model.contextentity import ContextEntity

        about = {"@type": "ComputerLanguage", "name": "Python", "url": "https://www.python.org/"}
        language = crate.add(ContextEntity(crate, "#python", properties=about))
    types = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    entity = crate.add_file(url, properties={"@type": types, **facts})
    entity["programmingLanguage"] = language
    if is_main:
        crate.mainEntity = entity
    return entity


def _action(
    crate: Any, found: Provenance, rid: str, run: Run, workflows: dict[str, Any], things: dict[str, Any]
) -> None:
    status = "FailedActionStatus" if run.summary.status in ENDED_BADLY else "CompletedActionStatus"
    facts = {
        "name": run.summary.description or f"Execution {rid}",
        "identifier": rid,
        "actionStatus": f"http://schema.org/{status}",
    }
    facts |= {name: time for name, time in (("startTime", run.begin), ("endTime", run.end)) if time}
    action = crate.add_action(
        workflows.get(run.workflow.get("RID", "")),
        identifier=found.url(rid),
        object=[things[key] for key in dict.fromkeys(run.read)],
        result=[things[key] for key in dict.fromkeys(run.made)],
        properties=facts,
    )
    crate.root_dataset.append_to("mentions", action)


def _conform(crate: Any) -> None:
    from rocrate.model.contextentity import ContextEntity

    for profile in _PROFILES:
        about = {
            "@type": "CreativeWork",
            "name": profile.rsplit("/", 2)[-2],
            "version": profile.rpartition("/")[2],
        }
        crate.root_dataset.append_to("conformsTo", crate.add(ContextEntity(crate, profile, properties=about)))
