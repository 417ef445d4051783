"""What an execution recorded of itself: code, command, environment and inputs, read back from its files."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from deriva_ml.ermrest import address
from deriva_ml.errors import DerivaMLDataError
from deriva_ml.names import AssetRole, ExecMetadataType, MLAsset, MLTable
from deriva_ml.workflow.changes import PATCH_NAME

if TYPE_CHECKING:
    from deriva_ml.asset.asset import Asset
    from deriva_ml.ml import DerivaML


@dataclass(frozen=True)
class Code:
    """Where the code of a run is.

    Parameters
    ----------
    origin : str, optional
        Address of its repository.
    root : Path, optional
        The repository on the machine that ran it.
    remotes : list of str
        Addresses of other repositories that may have the commit.
    commit : str, optional
        What was checked out.
    is_exact : bool
        False when only the last commit of the script itself is known.
    patch : Asset, optional
        What was not committed.
    """

    origin: str | None = None
    root: Path | None = None
    commit: str | None = None
    is_exact: bool = False
    patch: Asset | None = None
    remotes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recorded:
    """An execution as it was recorded.

    Parameters
    ----------
    execution_rid, description, status : str
    workflow : dict
        As configured.
    code : Code
    arguments : list of str
        The whole command, its interpreter first.
    folder : Path, optional
        Where it ran.
    relative_to : Path, optional
        What relative places meant: where the first one ran, of one that is a repetition itself.
    search_path : list of str
        Where Python looked for modules.
    overrides : list of str, optional
        What Hydra was told, None for a run without it.
    hydra : dict
        Hydra's own settings.
    python : str
        Version.
    packages : dict
        Version by name.
    lock : Asset, optional
        ``uv.lock``.
    datasets : dict
        Version by RID.
    declared : list of str
        RIDs of the datasets that its configuration names.
    assets : list of str
        RIDs of input files of the catalog.
    local_files : list of Asset
        Input files that were on the disk only.
    parts : list of str
        RIDs of the executions that are parts of it, as the jobs of a sweep are.
    outputs : list of Asset
        Without what describes the run.
    """

    execution_rid: str
    description: str
    status: str
    workflow: dict[str, Any]
    code: Code
    arguments: list[str]
    folder: Path | None = None
    relative_to: Path | None = None
    search_path: list[str] = field(default_factory=list)
    overrides: list[str] | None = None
    hydra: dict[str, Any] = field(default_factory=dict)
    python: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    lock: Asset | None = None
    datasets: dict[str, str] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    local_files: list[Asset] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    outputs: list[Asset] = field(default_factory=list)


_DESCRIBES = {
    ExecMetadataType.execution_config,
    ExecMetadataType.runtime_env,
    ExecMetadataType.hydra_config,
    ExecMetadataType.deriva_config,
}


def is_output(asset: Asset) -> bool:
    """Whether a file is a result; files that describe a run differ from run to run."""
    return not (asset.asset_table == MLAsset.execution_metadata and _DESCRIBES & set(asset.asset_types))


def outputs_of(ml: DerivaML, execution_rid: str) -> list[Asset]:
    """Files that an execution wrote, without those that describe it."""
    found = ml.list_execution_assets(execution_rid, asset_role=AssetRole.output)
    return [asset for asset in found if is_output(asset)]


def read(ml: DerivaML, execution_rid: str) -> Recorded:
    """Read what an execution recorded.

    Parameters
    ----------
    ml : DerivaML
    execution_rid : str

    Raises
    ------
    DerivaMLException
        If there is no such execution.
    DerivaMLDataError
        If it recorded no configuration, as executions do that no run of this library made.
    """
    record = ml.lookup_execution(execution_rid)
    written = ml.list_execution_assets(execution_rid, asset_role=AssetRole.output)
    files = {asset.filename: asset for asset in written if not is_output(asset)}
    with tempfile.TemporaryDirectory() as folder:
        texts = _Texts(files, Path(folder))
        configuration = texts.json("configuration.json")
        if configuration is None:
            raise DerivaMLDataError(
                f"Execution {execution_rid} recorded no configuration.json, so how it ran is not known."
            )
        environment = texts.json("environment_snapshot_") or {}
        overrides, hydra = texts.yaml("-overrides.yaml"), texts.yaml("-hydra.yaml")
    system, own = environment.get("sys", {}), configuration.get("workflow") or {}
    then = environment.get("os", {})
    folder_then = then.get("cwd")
    relative_to = then.get("environ", {}).get(address.RELATIVE_TO) or folder_then
    return Recorded(
        execution_rid=execution_rid,
        description=record.description or "",
        status=str(record.status),
        workflow=own,
        code=_code(own, environment.get("git") or {}, files.get(PATCH_NAME)),
        arguments=system.get("orig_argv") or _guessed(system, configuration),
        folder=Path(folder_then) if folder_then else None,
        relative_to=Path(folder_then or "", relative_to) if relative_to else None,
        search_path=environment.get("sys_path", []),
        overrides=list(overrides) if overrides is not None else None,
        hydra=(hydra or {}).get("hydra", {}),
        python=environment.get("platform", {}).get("python_version", ""),
        packages=environment.get("imports", {}),
        lock=files.get("uv.lock"),
        datasets=datasets_read(ml, execution_rid),
        declared=[each["rid"] for each in configuration.get("datasets", [])],
        assets=[each["rid"] for each in configuration.get("assets", []) if each.get("rid")],
        local_files=_local_files(ml, execution_rid, configuration),
        parts=[part.execution_rid for part in record.list_execution_children()],
        outputs=[asset for asset in written if is_output(asset)],
    )


class _Texts:
    """Files that describe a run, found by a part of their name."""

    def __init__(self, files: dict[str, Asset], folder: Path) -> None:
        self._files, self._folder = files, folder

    def _text(self, part: str) -> str | None:
        name = next((name for name in sorted(self._files) if part in name), None)
        return None if name is None else self._files[name].download(self._folder).read_text(encoding="utf-8")

    def json(self, part: str) -> Any:
        """A JSON file, None where there is none."""
        text = self._text(part)
        return None if text is None else json.loads(text)

    def yaml(self, part: str) -> Any:
        """A YAML file, None where there is none."""
        text = self._text(part)
        return None if text is None else yaml.safe_load(text)


def _code(workflow: dict[str, Any], repository: dict[str, Any], patch: Asset | None) -> Code:
    origin, mark, rest = (workflow.get("url") or "").partition("/blob/")
    commit = rest.partition("/")[0]
    root = repository.get("root") or workflow.get("git_root")
    exact = repository.get("commit")
    return Code(
        origin=origin if mark else None,
        root=Path(root) if root else None,
        commit=exact or commit or None,
        is_exact=exact is not None,
        patch=patch,
        remotes=list(repository.get("remotes", {}).values()),
    )


def _guessed(system: dict[str, Any], configuration: dict[str, Any]) -> list[str]:
    """The command of a run that did not record the whole of it."""
    arguments = system.get("argv") or configuration.get("argv") or []
    return [system.get("executable") or "python", *arguments] if arguments else []


def _local_files(ml: DerivaML, execution_rid: str, configuration: dict[str, Any]) -> list[Asset]:
    if not any(each.get("path") for each in configuration.get("assets", [])):
        return []
    read = ml.list_execution_assets(execution_rid, asset_role=AssetRole.input)
    return [asset for asset in read if asset.asset_table == MLTable.file]


def datasets_read(ml: DerivaML, execution_rid: str) -> dict[str, str]:
    """Version of each dataset that an execution is recorded to have read, by RID."""
    node = ml.lookup_lineage(execution_rid, depth=0).lineage
    read = node.consumed_datasets if node is not None else []
    return {dataset.rid: dataset.version for dataset in read if dataset.version}
