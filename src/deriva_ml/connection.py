"""How to open a catalog, as one value that can be stored, composed by Hydra and passed around."""

from __future__ import annotations

import getpass
import logging
import sys
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deriva_ml.logs import is_hydra_initialized
from deriva_ml.names import ML_SCHEMA, ConnectionMode
from deriva_ml.workspace.paths import safe_name

_GIVEN_UP = frozenset({"check_auth", "zen_meta"})
"""Keys that older configurations carry and that mean nothing any more."""


class DerivaMLConfig(BaseModel):
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

    @model_validator(mode="before")
    @classmethod
    def _drop_known_extras(cls, value: Any) -> Any:
        if hasattr(value, "items"):
            return {key: item for key, item in value.items() if key not in _GIVEN_UP}
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
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
            ``<working_dir>/<user>/deriva-ml/<host>/<catalog>``, or ``~/.deriva-ml/<host>/<catalog>``; absolute.
        """
        base = (
            Path(working_dir).expanduser().absolute() / getpass.getuser() / "deriva-ml"
            if working_dir
            else Path.home() / ".deriva-ml"
        )
        return base.joinpath(*(safe_name(str(part)) for part in (hostname, catalog_id) if part is not None))


def hydra_output_dir() -> Path | None:
    """Output folder of the Hydra job that this process runs, None outside of one."""
    if not is_hydra_initialized():
        return None
    config = sys.modules["hydra.core.hydra_config"].HydraConfig.get()
    folder = config.runtime.get("output_dir")
    return Path(folder) if folder else None
