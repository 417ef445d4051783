"""``deriva-ml init`` and ``deriva-ml serve``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path

from deriva_ml import heap
from deriva_ml.cli.text import examples
from deriva_ml.errors import DerivaMLConnectionError
from deriva_server.config import ServerConfig
from deriva_server.deployment import Deployment
from deriva_server.embed import LocalServer, loopback
from deriva_server.errors import DeploymentError
from deriva_server.sql.databases import shown_address


def init_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``init``."""
    examples(parser, "deriva-ml init ./lab", "deriva-ml init ./lab --database postgresql://ada@localhost/lab")
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="new or empty folder; a deployment is left as it is"
    )
    parser.add_argument("--name", help="name as shown to people, that of the folder by default")
    _address_arguments(parser)


def init(arguments: argparse.Namespace) -> int:
    """Make a folder a deployment."""
    try:
        made = _made(arguments)
        config = ServerConfig.load(made.folder)
    except DeploymentError as error:
        raise DerivaMLConnectionError(str(error)) from error
    print(f"{made.folder} is deployment {made.name!r} (id {made.id}).")
    _tell_places(config.database, config.objects)
    print(f"Make a catalog in it with: deriva-ml catalog create {_quoted(made.folder)} PROJECT")
    return 0


def _tell_places(database: str | None, objects: str | None) -> None:
    if database is not None:
        print(f"Its catalogs are kept at {shown_address(database)}.")
    if objects is not None:
        print(f"Its objects are kept at {objects}.")


def _made(arguments: argparse.Namespace) -> Deployment:
    if arguments.database is None and arguments.objects is None:
        return Deployment.create(arguments.folder, arguments.name)
    with LocalServer.open(
        arguments.folder,
        create=True,
        name=arguments.name,
        database=arguments.database,
        objects=arguments.objects,
    ) as server:
        return server.deployment


def _quoted(path: Path) -> str:
    text = str(path)
    return f"'{text}'" if " " in text else text


def _address_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        metavar="ADDRESS",
        help="keep catalogs on a PostgreSQL server instead of in files: postgresql://user@host/name; "
        "remembered without its password, for which PGPASSWORD or ~/.pgpass serve",
    )
    parser.add_argument(
        "--objects",
        metavar="ADDRESS",
        help="keep objects on S3 instead of in files: s3://bucket/prefix, with ?endpoint=https://host:port&region=name "
        "for a service that is not Amazon's; remembered; credentials come from the environment or ~/.aws",
    )


def serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``serve``."""
    examples(parser, "deriva-ml serve ./lab", "deriva-ml serve ./lab --port 0")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a deployment; see deriva-ml init")
    parser.add_argument(
        "--host", default="127.0.0.1", help="loopback address to listen on (default 127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="port to listen on, 0 for a free one (default 8080)"
    )
    _address_arguments(parser)


def serve(arguments: argparse.Namespace) -> int:
    """Answer HTTP until interrupted; the folder may be used in other processes meanwhile."""
    try:
        loopback(arguments.host)
        server = LocalServer.open(arguments.folder, database=arguments.database, objects=arguments.objects)
        running = server.serve(arguments.host, arguments.port)
    except DeploymentError as error:
        raise DerivaMLConnectionError(str(error)) from error
    # What a server says is read long after it was said.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    with server, running:
        print(f"Serving {server.folder} at {running.url} (stop with Ctrl-C)")
        _tell_places(server.database, server.bucket)
        print(f"Open a catalog with: DerivaML({running.url!r}, ID)", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        heap.searched_again()
        try:
            running.wait()
        except KeyboardInterrupt:
            print("Stopping.", flush=True)
    return 0
