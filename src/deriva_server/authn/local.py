"""The one client of a server without accounts: whoever runs it."""

from __future__ import annotations

import functools
import getpass
import os
import sys

from deriva_server.identity import ADMIN, Client


@functools.cache
def local_client() -> Client:
    """The user of the operating system that runs this process, holder of the role `admin`."""
    name = _user_name()
    full_name = _full_name() or name
    return Client(id=f"local/{name}", display_name=name, full_name=full_name, attributes=(ADMIN,))


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # containers run under numbers that no user list knows
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _full_name() -> str | None:
    """First field of the GECOS entry, None where there is none."""
    if sys.platform == "win32":
        return None
    import pwd

    try:
        gecos = pwd.getpwuid(os.getuid()).pw_gecos
    except KeyError:
        return None
    return gecos.split(",")[0].strip() or None
