"""What a host name stands for: a folder on this disk, or a service on the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deriva_ml import settings
from deriva_ml.errors import DerivaMLConfigurationError

RELATIVE_TO = "DERIVA_ML_RELATIVE_TO"
"""Variable that names the folder from which relative folders count, where that is not the current one."""


@dataclass(frozen=True)
class Address:
    """Where a service is.

    Parameters
    ----------
    host : str
        As the user gave it.
    folder : Path, optional
        The deployment on this disk.
    scheme, network_name : str
        ``https`` and ``host`` or ``host:port``; empty for a folder.
    """

    host: str
    folder: Path | None = None
    scheme: str = ""
    network_name: str = ""


def read_address(hostname: str | os.PathLike[str]) -> Address:
    """Tell a folder from a network name.

    A name with a path separator, a leading dot or tilde, or ``file:`` is a folder; all else is a network name, reached
    by https. ``http://host:port`` and ``https://host`` name the way too.

    Parameters
    ----------
    hostname : str or path

    Raises
    ------
    DerivaMLConfigurationError
        If it is empty or no address at all.

    Examples
    --------
    >>> read_address("www.example.org").network_name
    'www.example.org'
    >>> read_address("./demo").folder.name
    'demo'
    """
    if isinstance(hostname, os.PathLike):
        return _folder(os.fspath(hostname), Path(hostname))
    if not isinstance(hostname, str):
        raise DerivaMLConfigurationError(
            f"{hostname!r} is no hostname; give a folder (./demo) or the name of a server as text."
        )
    host = hostname.strip()
    if not host:
        raise DerivaMLConfigurationError(
            "The hostname is empty; give a folder (./demo) or the name of a server."
        )
    scheme = host.partition(":")[0].lower()
    if scheme in ("http", "https") and "//" in host:
        try:
            parts = urlsplit(host)
        except ValueError as error:
            raise DerivaMLConfigurationError(f"{host!r} is no address of a server: {error}.") from None
        if not parts.netloc or parts.path.strip("/"):
            raise DerivaMLConfigurationError(
                f"{host!r} must be just {scheme}://HOST or {scheme}://HOST:PORT."
            )
        return Address(host, None, scheme, parts.netloc)
    if scheme == "file":
        return _folder(host, _path_of_file_url(host))
    if "://" in host:
        raise DerivaMLConfigurationError(
            f"{host!r} cannot be reached by {scheme}; give https://HOST, http://HOST or file:FOLDER."
        )
    separators = [os.sep] + ([os.altsep] if os.altsep else [])
    if host[0] in ".~" or any(mark in host for mark in separators):
        return _folder(host, Path(host))
    if any(mark.isspace() for mark in host) or "@" in host:
        raise DerivaMLConfigurationError(
            f"{host!r} is no host name; a folder needs a path separator, as in ./{host}."
        )
    return Address(host, None, "https", host)


def _folder(host: str, path: Path) -> Address:
    try:
        base = settings.text(RELATIVE_TO) or ""
        return Address(host, Path(base, path.expanduser()).absolute())
    except RuntimeError as error:
        raise DerivaMLConfigurationError(f"{host!r} is no folder: there is no such user's home.") from error


def _path_of_file_url(url: str) -> Path:
    rest = url[len("file:") :]
    if rest.startswith("//"):
        machine, slash, path = rest[2:].partition("/")
        if machine not in ("", "localhost"):
            raise DerivaMLConfigurationError(
                f"{url!r} is a folder on another machine ({machine}); open it there."
            )
        rest = slash + path
    if not rest:
        raise DerivaMLConfigurationError(f"{url!r} names no folder.")
    return Path(unquote(rest))
