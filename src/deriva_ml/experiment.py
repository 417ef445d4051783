"""A run that was configured with Hydra, seen from its results: what was chosen, what went in, what came out."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from deriva_ml.asset.asset import Asset
from deriva_ml.asset.download import cached
from deriva_ml.citation import record_url
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLNotFoundError
from deriva_ml.execution.execution_record import ExecutionRecord, records
from deriva_ml.execution.queries import find_executions, list_execution_assets, lookup_execution
from deriva_ml.names import AssetRole, ExecutionStatus, MLAsset, MLTable
from deriva_ml.session import Session, session_of

if TYPE_CHECKING:
    from deriva_ml.dataset.dataset import Dataset

HYDRA_CONFIG = "-config.yaml"
"""How the name of the configuration that Hydra composed ends."""


class Experiment:
    """One execution with the configuration it ran under.

    Parameters
    ----------
    ml : DerivaML
        The open catalog, or its session.
    execution_rid : str
    record : ExecutionRecord, optional
        Its record, if it was read already.

    Raises
    ------
    DerivaMLNotFoundError
        If there is no such execution.
    """

    def __init__(self, ml: Any, execution_rid: str, record: ExecutionRecord | None = None) -> None:
        self.ml = ml
        self._session = session_of(ml)
        self.execution_rid = execution_rid
        self.execution = record or lookup_execution(self._session, execution_rid)

    @cached_property
    def _outputs(self) -> list[Asset]:
        return list_execution_assets(self._session, self.execution_rid, AssetRole.output)

    def _document(self, ending: str) -> str | None:
        """Text of the configuration file of a name."""
        for asset in self._outputs:
            if asset.asset_table == MLAsset.execution_metadata and asset.filename.endswith(ending):
                return cached(self._session, asset.get_metadata()).read_text(encoding="utf-8")
        return None

    @cached_property
    def hydra_config(self) -> dict[str, Any]:
        """What Hydra composed; empty for a run without Hydra."""
        text = self._document(HYDRA_CONFIG)
        found = yaml.safe_load(text) if text else None
        return found if isinstance(found, dict) else {}

    @cached_property
    def config_choices(self) -> dict[str, str]:
        """Config group to chosen option."""
        text = self._document("configuration.json")
        found = json.loads(text).get("config_choices") if text else None
        return {str(group): str(choice) for group, choice in (found or {}).items()}

    @property
    def model_config(self) -> dict[str, Any]:
        """The composed configuration of the model."""
        found = self.hydra_config.get("model_config")
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        """The chosen model configuration, or the RID of a run without one."""
        return self.config_choices.get("model_config") or self.execution_rid

    @property
    def description(self) -> str:
        """What the run was for."""
        return self.execution.description or ""

    @property
    def status(self) -> ExecutionStatus | str:
        """How far the run is."""
        return self.execution.status

    @cached_property
    def input_datasets(self) -> list[Dataset]:
        """Datasets that the run read."""
        return self.execution.list_input_datasets()

    @cached_property
    def input_assets(self) -> list[Asset]:
        """Files that the run read."""
        return list_execution_assets(self._session, self.execution_rid, AssetRole.input)

    @property
    def output_assets(self) -> list[Asset]:
        """Files that the run made, without those that describe it."""
        return [asset for asset in self._outputs if asset.asset_table != MLAsset.execution_metadata]

    def get_chaise_url(self) -> str:
        """Address of the execution's page."""
        table = (self._session.ml_schema, str(MLTable.execution))
        return record_url(self._session, table, self.execution_rid)

    def summary(self) -> dict[str, Any]:
        """Everything that can be said in one dict."""
        return {
            "name": self.name,
            "execution_rid": self.execution_rid,
            "description": self.description,
            "status": str(self.status),
            "config_choices": self.config_choices,
            "model_config": self.model_config,
            "input_datasets": [dataset.dataset_rid for dataset in self.input_datasets],
            "input_assets": [asset.asset_rid for asset in self.input_assets],
            "output_assets": [asset.asset_rid for asset in self.output_assets],
            "url": self.get_chaise_url(),
        }

    def to_markdown(self, show_datasets: bool = True, show_assets: bool = True) -> str:
        """Describe the run in Markdown.

        Parameters
        ----------
        show_datasets, show_assets : bool
            Whether the inputs are listed.

        Returns
        -------
        str
        """
        lines = [f"### {self.name} ([{self.execution_rid}]({self.get_chaise_url()}))", "", f"*{self.status}*"]
        if self.description:
            lines += ["", self.description]
        if self.config_choices:
            lines += ["", "**Choices**", ""]
            lines += [f"- {group}: `{choice}`" for group, choice in sorted(self.config_choices.items())]
        if self.model_config:
            lines += ["", "**Model**", ""]
            shown = ((name, value) for name, value in self.model_config.items() if not name.startswith("_"))
            lines += [f"- {name}: `{value}`" for name, value in shown]
        if show_datasets and self.input_datasets:
            lines += ["", "**Datasets**", "", *(dataset.to_markdown() for dataset in self.input_datasets)]
        if show_assets and self.input_assets:
            lines += ["", "**Assets**", ""]
            lines += [f"- {asset.filename} ({asset.asset_rid})" for asset in self.input_assets]
        return "\n".join(lines)

    def display_markdown(self, show_datasets: bool = True, show_assets: bool = True) -> None:
        """Print the description in Markdown; a notebook shows it formatted when the experiment is a cell's result."""
        print(self.to_markdown(show_datasets, show_assets))

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return f"<Experiment {self.name} ({self.execution_rid}, {self.status})>"


def find_experiments(
    session: Session, workflow_rid: str | None = None, status: ExecutionStatus | str | None = None
) -> list[Experiment]:
    """Executions that were configured with Hydra.

    Parameters
    ----------
    session : Session
    workflow_rid : str, optional
        Only runs of this workflow.
    status : ExecutionStatus, optional

    Returns
    -------
    list of Experiment
    """
    association, asset_column, execution_column = session.model.asset_executions(
        (session.ml_schema, str(MLAsset.execution_metadata))
    )
    metadata = rows.path_of((session.ml_schema, str(MLAsset.execution_metadata)))
    ending = rows.escaped(HYDRA_CONFIG.replace(".", r"\.") + "$")
    path = f"/attribute/M:={metadata}/Filename::regexp::{ending}/RID"
    files = [row["RID"] for row in rows.query(session.connection, path)]
    links = rows.read(
        session.connection, association, where={asset_column: files}, columns=["RID", execution_column]
    )
    found = {row[execution_column] for row in links}
    if workflow_rid is None and status is None:
        members = records(session, sorted(found))
    else:
        wanted = find_executions(session, workflow=workflow_rid, status=status)
        members = sorted(
            (record for record in wanted if record.execution_rid in found),
            key=lambda record: record.execution_rid,
        )
    return [Experiment(session, record.execution_rid, record) for record in members]


def lookup_experiment(session: Session, execution_rid: str) -> Experiment:
    """One execution with the configuration it ran under.

    Raises
    ------
    DerivaMLNotFoundError
        If there is no such execution, or it was not configured with Hydra.
    """
    found = Experiment(session, execution_rid)
    if not found.hydra_config:
        raise DerivaMLNotFoundError(
            f"Execution {execution_rid} has no Hydra configuration, so it is no experiment."
        )
    return found
