"""Lineage as OpenLineage events; the only door to its client library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from deriva_ml.extras import needed
from deriva_ml.names import ExecutionStatus

if TYPE_CHECKING:
    from deriva_ml.lineage.facts import Provenance, Run

_PRODUCER = "https://github.com/informatics-isi-edu/deriva-ml"
_STATES: dict[str, str] = {
    ExecutionStatus.Running: "RUNNING",
    ExecutionStatus.Failed: "FAIL",
    ExecutionStatus.Aborted: "ABORT",
    ExecutionStatus.Created: "START",
}


def events(found: Provenance) -> list[Any]:
    """Make an event per execution, with its inputs and outputs.

    Parameters
    ----------
    found : Provenance

    Returns
    -------
    list of openlineage.client.event_v2.RunEvent

    Raises
    ------
    DerivaMLDependencyError
        If the library is not installed.
    """
    with needed("OpenLineage needs", "provenance"):
        from openlineage.client.event_v2 import RunEvent, RunState
    made = []
    for run in found.runs.values():
        state = _STATES.get(run.summary.status, "COMPLETE")
        made.append(
            RunEvent(
                eventType=RunState[state],
                eventTime=run.end or run.begin or "",
                run=_run(found, run),
                job=_job(found, run),
                inputs=[_dataset(found, key, is_input=True) for key in dict.fromkeys(run.read)],
                outputs=[_dataset(found, key, is_input=False) for key in dict.fromkeys(run.made)],
                producer=_PRODUCER,
            )
        )
    return sorted(made, key=lambda event: event.eventTime)


def _namespace(found: Provenance) -> str:
    return found.url("").rstrip("/")


def _run(found: Provenance, run: Run) -> Any:
    from openlineage.client.event_v2 import Run as OpenRun
    from openlineage.client.facet_v2 import nominal_time_run

    facets: dict[str, Any] = {}
    if run.begin:
        facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(
            nominalStartTime=run.begin, nominalEndTime=run.end, producer=_PRODUCER
        )
    # Always the same for the same execution, so that events that are sent again are known again.
    return OpenRun(runId=str(uuid5(NAMESPACE_URL, found.url(run.summary.rid))), facets=facets)


def _job(found: Provenance, run: Run) -> Any:
    from openlineage.client.event_v2 import Job
    from openlineage.client.facet_v2 import documentation_job, source_code_location_job

    facets: dict[str, Any] = {}
    if run.summary.description:
        facets["documentation"] = documentation_job.DocumentationJobFacet(
            description=run.summary.description, producer=_PRODUCER
        )
    if run.workflow.get("URL"):
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type="git", url=run.workflow["URL"], version=run.workflow.get("Version"), producer=_PRODUCER
        )
    name = run.workflow.get("Name") or f"execution {run.summary.rid}"
    return Job(namespace=_namespace(found), name=name, facets=facets)


def _dataset(found: Provenance, key: str, *, is_input: bool) -> Any:
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import dataset_version_dataset, documentation_dataset

    thing = found.things[key]
    facets: dict[str, Any] = {
        "documentation": documentation_dataset.DocumentationDatasetFacet(
            description=thing.name, producer=_PRODUCER
        )
    }
    if thing.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
            datasetVersion=thing.version, producer=_PRODUCER
        )
    kind = InputDataset if is_input else OutputDataset
    return kind(namespace=_namespace(found), name=f"{thing.kind}/{thing.rid}", facets=facets)


def open_lineage(found: Provenance) -> str:
    """Write a lineage as OpenLineage events, a line of JSON each."""
    made = events(found)
    from openlineage.client.serde import Serde

    return "\n".join(json.dumps(Serde.to_dict(event), ensure_ascii=False) for event in made)
