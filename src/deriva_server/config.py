"""Settings of a server: defaults, then ``server.toml`` in the deployment, then ``DERIVA_SERVER_*`` variables."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deriva_server.errors import DeploymentError

FILE = "server.toml"
PREFIX = "DERIVA_SERVER_"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of one server; every field may stand in the file, or in capitals in the environment.

    Parameters
    ----------
    threads : int
        Requests that `serve` answers at the same time.
    max_body_bytes : int
        Largest body accepted over HTTP; larger objects come in chunks.
    query_seconds : float
        How long one query may run.
    session_seconds : int
        Life of a session as told to clients.

    Examples
    --------
    >>> ServerConfig(threads=2).threads
    2
    """

    threads: int = 8
    max_body_bytes: int = 128 << 20
    query_seconds: float = 15.0
    session_seconds: int = 1800

    def __post_init__(self) -> None:
        for name, kind in _kinds().items():
            value: Any = getattr(self, name)
            if kind is float and type(value) is int:
                object.__setattr__(self, name, value := float(value))
            if type(value) is not kind or value <= 0:
                raise DeploymentError(f"Setting {name} must be a positive {kind.__name__}, not {value!r}.")

    @classmethod
    def load(cls, folder: Path, environment: Mapping[str, str] | None = None) -> ServerConfig:
        """Settings of the deployment in `folder`.

        Parameters
        ----------
        folder : Path
            Where ``server.toml`` may lie.
        environment : mapping, optional
            The environment of the process by default.

        Raises
        ------
        DeploymentError
            If the file cannot be read, or names or values are not settings.
        """
        values = _from_file(folder / FILE)
        environment = os.environ if environment is None else environment
        kinds = _kinds()
        for name, kind in kinds.items():
            text = environment.get(PREFIX + name.upper())
            if text is not None:
                try:
                    values[name] = kind(text)
                except ValueError:
                    raise DeploymentError(
                        f"{PREFIX}{name.upper()} must be a {kind.__name__}, not {text!r}."
                    ) from None
        if unknown := sorted(values.keys() - kinds.keys()):
            raise DeploymentError(
                f"{folder / FILE} has no setting {unknown[0]!r}; it knows {', '.join(kinds)}."
            )
        return cls(**values)


def _kinds() -> dict[str, type[int] | type[float]]:
    """Type of every setting."""
    return {field.name: float if field.type == "float" else int for field in dataclasses.fields(ServerConfig)}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DeploymentError(f"{path} cannot be read: {error}.") from error
