"""``create-demo-catalog``: a small catalog to try things on."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deriva_ml.cli.program import program
from deriva_ml.cli.text import examples
from deriva_ml.errors import DerivaMLConfigurationError

PROGRAM = "create-demo-catalog"


def demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(
        parser, f"{parser.prog} --host ./demo", f"{parser.prog} --host ./demo --domain_schema eyes --empty"
    )
    parser.add_argument(
        "--host",
        "--hostname",
        metavar="HOST",
        help="folder (made when missing), host name, or http://host:port (default: ./demo)",
    )
    parser.add_argument(
        "--domain_schema",
        "--domain-schema",
        metavar="NAME",
        help="schema of its tables (default: demo-schema)",
    )
    parser.add_argument("--empty", action="store_true", help="make the tables without rows")
    _server_arguments(parser)


def _server_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that programs for Deriva servers have in common."""
    from deriva_ml.version import __version__

    parser.add_argument("--version", action="version", version=__version__)
    said = parser.add_mutually_exclusive_group()
    said.add_argument("--quiet", action="store_true", help="say only what went wrong")
    said.add_argument("--debug", action="store_true", help="say everything")
    parser.add_argument(
        "--credential-file", type=Path, metavar="FILE", help="JSON file with the credential of the host"
    )
    tokens = parser.add_mutually_exclusive_group()
    tokens.add_argument("--token", help="token of the web session")
    tokens.add_argument("--oauth2-token", metavar="TOKEN", help="OAuth2 bearer token")
    parser.add_argument(
        "--config-file", type=Path, metavar="FILE", help="JSON file that may name host and domain_schema"
    )


def demo(arguments: argparse.Namespace) -> int:
    """Make the catalog."""
    # Here, so that --help stays instant.
    from deriva_ml.demo_catalog import create_demo_catalog

    level = logging.CRITICAL if arguments.quiet else logging.DEBUG if arguments.debug else logging.ERROR
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=level)
    configured = {} if arguments.config_file is None else _read(arguments.config_file)
    host = arguments.host or configured.get("host") or "./demo"
    schema = arguments.domain_schema or configured.get("domain_schema") or "demo-schema"
    catalog = create_demo_catalog(
        host,
        schema,
        populate=not arguments.empty,
        credential=_credential(arguments, host),
        logging_level=level,
    )
    print(f"Made catalog {catalog.catalog_id} in {host}.")
    print(f"Open it with: DerivaML({host!r}, {str(catalog.catalog_id)!r})")
    return 0


def _credential(arguments: argparse.Namespace, host: str) -> dict[str, Any] | None:
    """What was given instead of the stored login."""
    if arguments.token:
        return {"cookie": f"webauthn={arguments.token}"}
    if arguments.oauth2_token:
        return {"bearer-token": arguments.oauth2_token}
    if arguments.credential_file is None:
        return None
    known = _read(arguments.credential_file)
    if host not in known:
        raise DerivaMLConfigurationError(
            f"{arguments.credential_file} has no credential for {host}; it has some for {', '.join(known) or 'no host'}."
        )
    found: dict[str, Any] = known[host]
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DerivaMLConfigurationError(f"{file} cannot be read as JSON: {error}.") from error
    if not isinstance(found, dict):
        raise DerivaMLConfigurationError(f"{file} must hold a JSON object.")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    description = "Make a small catalog with images, features and a dataset to try things on."
    return program(PROGRAM, description, demo_arguments, demo, argv)


if __name__ == "__main__":
    sys.exit(main())
