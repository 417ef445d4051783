"""Settings of a server: defaults, then ``server.toml`` in the deployment, then ``DERIVA_SERVER_*`` variables."""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deriva_server.errors import DeploymentError

FILE = "server.toml"
PREFIX = "DERIVA_SERVER_"
_TEXTS = frozenset(("database", "objects"))


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of one server; every field may stand in the file, or in capitals in the environment.

    Parameters
    ----------
    threads : int
        Requests that `serve` answers at the same time.
    max_body_bytes : int
        Largest body accepted over HTTP; larger objects come in chunks. Large bodies wait in temporary files.
    session_seconds : int
        Life of a session as told to clients.
    database : str or None
        ``postgresql://user@host/name`` to keep catalogs on a PostgreSQL server; None for SQLite files.
    objects : str or None
        ``s3://bucket/prefix?endpoint=https://host:port&region=name`` to keep objects on S3; None for files.

    Examples
    --------
    >>> ServerConfig(threads=2).threads
    2
    """

    threads: int = 8
    max_body_bytes: int = 2 << 30
    session_seconds: int = 1800
    database: str | None = None
    objects: str | None = None

    def __post_init__(self) -> None:
        for name in _names():
            value = getattr(self, name)
            if name in _TEXTS:
                if value is not None and not isinstance(value, str):
                    raise DeploymentError(f"Setting {name} must be a text, not {value!r}.")
            elif type(value) is not int or value <= 0:
                raise DeploymentError(f"Setting {name} must be a positive whole number, not {value!r}.")

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
        for name in _names():
            variable = PREFIX + name.upper()
            text = environment.get(variable)
            if text is not None and name in _TEXTS:
                values[name] = text
            elif text is not None:
                try:
                    values[name] = int(text)
                except ValueError:
                    raise DeploymentError(f"{variable} must be a whole number, not {text!r}.") from None
        if unknown := sorted(values.keys() - set(_names())):
            known = ", ".join(_names())
            raise DeploymentError(f"{folder / FILE} has no setting {unknown[0]!r}; it knows {known}.")
        return cls(**values)


def known_setting(folder: Path, name: str) -> str | None:
    """A text in the file with the settings of a deployment, whatever the environment says."""
    return _from_file(folder / FILE).get(name)


def keep_setting(folder: Path, name: str, text: str) -> None:
    """Write a text into the settings of a deployment, unless the setting is there already.

    Raises
    ------
    DeploymentError
        If the file cannot be written.
    """
    if known_setting(folder, name) is not None:
        return
    try:
        with (folder / FILE).open("a", encoding="utf-8") as file:
            file.write(f"{name} = {json.dumps(text)}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DeploymentError(f"{folder / FILE} cannot be written: {error}.") from error


def _names() -> list[str]:
    return [field.name for field in dataclasses.fields(ServerConfig)]


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DeploymentError(f"{path} cannot be read: {error}.") from error
