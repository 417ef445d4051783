"""How to open a catalog, as one value that can be stored, composed by Hydra and passed around."""

from __future__ import annotations

import getpass
import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from deriva_ml import settings
from deriva_ml.ermrest.address import read_address
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException
from deriva_ml.logs import is_hydra_initialized
from deriva_ml.names import ML_SCHEMA, ConnectionMode
from deriva_ml.specs import Checked
from deriva_ml.workspace.paths import safe_name

_GIVEN_UP = frozenset({"check_auth", "zen_meta"})
"""Keys that older configurations carry and that mean nothing any more."""


class DerivaMLConfig(Checked):
    """Everything that `DerivaML` takes, see there for the meaning of each part.

    Examples
    --------
    >>> config = DerivaMLConfig(hostname="data.example.org", catalog_id=7)
    >>> config.use_minid, config.ml_schema
    (False, 'deriva-ml')
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    hostname: str
    catalog_id: str | int = 1
    domain_schemas: str | set[str] | None = None
    default_schema: str | None = None
    project_name: str | None = None
    cache_dir: Path | None = None
    working_dir: Path | None = None
    hydra_runtime_output_dir: Path | None = None
    ml_schema: str = ML_SCHEMA
    logging_level: int | str = logging.WARNING
    deriva_logging_level: int | str = logging.WARNING
    credential: dict[str, Any] | None = Field(default=None, repr=False)
    s3_bucket: str | None = None
    use_minid: bool | None = None
    clean_execution_dir: bool = True
    mode: ConnectionMode = ConnectionMode.online
    timeout: tuple[float, float] | None = None
    chunk_size: int | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _drop_known_extras(cls, value: Any) -> Any:
        if hasattr(value, "items"):
            return {key: item for key, item in value.items() if key not in _GIVEN_UP}
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        # A folder's default depends on the id that is kept in it, so it is chosen when the folder is opened.
        if self.working_dir is not None or read_address(self.hostname).folder is None:
            self.working_dir = self.compute_workdir(self.working_dir, self.catalog_id, self.hostname)
        if self.cache_dir is not None:
            self.cache_dir = self.cache_dir.expanduser().absolute()
        if self.hydra_runtime_output_dir is None:
            self.hydra_runtime_output_dir = hydra_output_dir()
        self.use_minid = self.s3_bucket is not None and self.use_minid is not False
        return self

    @staticmethod
    def compute_workdir(
        working_dir: str | Path | None, catalog_id: str | int | None = None, hostname: str | None = None
    ) -> Path:
        """Folder for local files of a catalog.

        Parameters
        ----------
        working_dir : str or Path, optional
            Base folder that may be shared by users and catalogs.
        catalog_id : str or int, optional
        hostname : str, optional

        Returns
        -------
        Path
            ``<working_dir>/<user>/deriva-ml/<host>/<catalog>``, or ``~/.deriva-ml/<host>/<catalog>``; absolute. The
            host of a folder is the name of the deployment in it: every project may call its own ``./lab``. A folder that
            is no deployment yet is not made by what would be kept in it.
        """
        host, none_yet = (None, None) if hostname is None else _name_of(hostname)
        base = settings.home()
        if working_dir:
            given = Path(working_dir).expanduser().absolute()
            if none_yet is None or not given.is_relative_to(none_yet):
                base = given / getpass.getuser() / "deriva-ml"
        return base.joinpath(*(safe_name(str(part)) for part in (host, catalog_id) if part is not None))


def _name_of(hostname: str) -> tuple[str, Path | None]:
    """The name of a host in local paths, which no other host has, and the folder that should be one but cannot be opened.

    The name of a folder is kept in it.
    """
    folder = None
    try:
        address = read_address(hostname)
        folder = address.folder
        if folder is None:
            return hostname, None
        # What opens folders is loaded only where there is one.
        return importlib.import_module("deriva_ml.ermrest.connect").Site(address).authority, None
    except DerivaMLException:
        # Whoever opens it is told; until then nothing is kept.
        return hostname, folder


CONTEXT_NAME = ".deriva-context.json"
"""File at the top of a project that names the catalog it works with."""


def read_context(path: str | Path | None = None) -> dict[str, Any]:
    """Read the connection that a project's ``.deriva-context.json`` names.

    Parameters
    ----------
    path : str or Path, optional
        The file, or a folder to begin the search in (the current one by default); it goes on upward from there.

    Returns
    -------
    dict
        Arguments for `DerivaML`.

    Raises
    ------
    FileNotFoundError
        If there is no such file there or above.
    DerivaMLConfigurationError
        If the file does not name a hostname and a catalog.
    """
    start = Path(path or ".").expanduser().absolute()
    places = [start] if start.is_file() else [folder / CONTEXT_NAME for folder in (start, *start.parents)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"There is no {CONTEXT_NAME} in {start} or above it.")
    try:
        context = json.loads(found.read_text(encoding="utf-8"))
        wanted = {name: context[name] for name in DerivaMLConfig.model_fields if name in context}
    except (OSError, ValueError, TypeError) as error:
        raise DerivaMLConfigurationError(f"{found} cannot be read as JSON: {error}.") from error
    if missing := {"hostname", "catalog_id"} - set(wanted):
        raise DerivaMLConfigurationError(f"{found} does not name {' and '.join(sorted(missing))}.")
    return wanted


def hydra_output_dir() -> Path | None:
    """Output folder of the Hydra job that this process runs, None outside of one."""
    if not is_hydra_initialized():
        return None
    config = sys.modules["hydra.core.hydra_config"].HydraConfig.get()
    folder = config.runtime.get("output_dir")
    return Path(folder) if folder else None
