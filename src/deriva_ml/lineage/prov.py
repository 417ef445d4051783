"""Lineage as W3C PROV; the only door to the library ``prov``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from deriva_ml.extras import needed

if TYPE_CHECKING:
    from deriva_ml.lineage.facts import Provenance


def document(found: Provenance) -> Any:
    """Make a document: executions are activities, files and versions of datasets entities, workflows plans of agents.

    Parameters
    ----------
    found : Provenance

    Returns
    -------
    prov.model.ProvDocument

    Raises
    ------
    DerivaMLDependencyError
        If the library is not installed.
    """
    with needed("PROV needs", "provenance"):
        from prov.model import PROV, ProvDocument
    made = ProvDocument()
    row = made.add_namespace("row", found.url(""))
    ml = made.add_namespace("deriva", "https://github.com/informatics-isi-edu/deriva-ml/terms#")
    agent = made.agent(ml["deriva-ml"], {"prov:type": PROV["SoftwareAgent"], "prov:label": "DerivaML"})
    for thing in found.things.values():
        facts: list[tuple[Any, Any]] = [("prov:label", thing.name), ("prov:type", ml[thing.kind])]
        facts += [(ml[name], thing.row[column]) for name, column in _FACTS if thing.row.get(column)]
        if thing.version:
            facts.append((ml["version"], thing.version))
        made.entity(row[thing.key], facts)
    plans = {run.workflow["RID"]: run.workflow for run in found.runs.values() if run.workflow}
    for rid, workflow in plans.items():
        facts = [("prov:label", workflow["Name"]), ("prov:type", PROV["Plan"])]
        facts += [(ml[name], workflow[column]) for name, column in _CODE if workflow.get(column)]
        made.entity(row[rid], facts)
    for rid, run in found.runs.items():
        label = run.summary.description or f"Execution {rid}"
        facts = [("prov:label", label), ("prov:type", ml["Execution"]), (ml["status"], run.summary.status)]
        activity = made.activity(row[rid], _time(run.begin), _time(run.end), facts)
        made.wasAssociatedWith(activity, agent, row[run.workflow["RID"]] if run.workflow else None)
        for key in dict.fromkeys(run.read):
            made.used(activity, row[key])
        for key in dict.fromkeys(run.made):
            made.wasGeneratedBy(row[key], activity)
    return made


_FACTS = (("md5", "MD5"), ("length", "Length"), ("url", "URL"))
_CODE = (("url", "URL"), ("checksum", "Checksum"), ("version", "Version"))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def prov_json(found: Provenance) -> str:
    """Write a lineage as PROV-JSON."""
    text: str = document(found).serialize(format="json", indent=2)
    return text
