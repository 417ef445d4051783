"""A real S3 service on this machine: SeaweedFS, which ends with the process that started it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUCKET, KEY, SECRET = "objects-of-tests", "testing", "only-here"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    # Nobody but this machine is asked, whatever the user has configured.
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
}
_PORTS = ("master", "volume", "filer", "s3")
# Reads until the process that holds the other end is gone, however it went.
_GUARD = '"$@" & read -r _; kill -9 $!; wait'


@dataclass
class Buckets:
    """The service, with one bucket."""

    endpoint: str
    count: int = 0
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        import botocore.session
        from botocore.config import Config

        session = botocore.session.get_session()
        session.set_credentials(KEY, SECRET)
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        self.client = session.create_client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", config=config
        )

    def prefix(self) -> str:
        """A new place in the bucket; SeaweedFS makes volumes for every bucket, and has no room for many."""
        self.count += 1
        return f"lab-{self.count}/objects"

    def address(self, prefix: str | None = None, *, endpoint: str | None = None) -> str:
        """Address of a new place in the bucket, or of one that is there; through another endpoint if it is given."""
        return f"s3://{BUCKET}/{prefix or self.prefix()}?endpoint={endpoint or self.endpoint}"

    def keys(self, prefix: str) -> list[str]:
        """All that is visible in a place."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        return [
            entry["Key"].removeprefix(f"{prefix}/") for page in pages for entry in page.get("Contents", ())
        ]

    def unfinished(self, prefix: str) -> list[str]:
        """Keys of multipart uploads that were neither completed nor aborted."""
        found = self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/")
        return [entry["Key"].removeprefix(f"{prefix}/") for entry in found.get("Uploads", ())]


@contextmanager
def running(folder: Path) -> Iterator[Buckets]:
    """Start the service with its data in `folder`."""
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    keys = [{"accessKey": KEY, "secretKey": SECRET}]
    people = folder / "people.json"
    people.write_text(json.dumps({"identities": [{"name": "t", "credentials": keys, "actions": rights}]}))
    data = folder / "data"
    data.mkdir()
    free = free_ports(2 * len(_PORTS))
    ports, rpc = (dict(zip(_PORTS, half, strict=True)) for half in (free[::2], free[1::2]))
    words: list[str | Path] = [Path(sys.executable).with_name("weed"), f"-logdir={folder}", "server"]
    words += [f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={people}"]
    words += [f"-{part}.port={ports[part]}" for part in _PORTS]
    words += [f"-{part}.port.grpc={rpc[part]}" for part in _PORTS]
    words += [
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-iam=false",
        "-s3.iam=false",
        "-master.telemetry=false",
        "-s3.autoCreateBucket=false",
    ]
    words += ["-master.volumeSizeLimitMB=1024", "-volume.max=0", "-master.electionTimeout=1s"]
    with ExitStack() as undo:
        log = undo.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", *map(str, words)], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
        undo.callback(process.wait, 30)
        assert process.stdin is not None
        undo.callback(process.stdin.close)
        buckets = Buckets(f"http://127.0.0.1:{ports['s3']}")
        _wait(buckets, folder / "log")
        yield buckets


def _wait(buckets: Buckets, log: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    until = time.monotonic() + 60
    while True:
        try:
            with suppress(buckets.client.exceptions.BucketAlreadyExists):
                buckets.client.create_bucket(Bucket=BUCKET)
            buckets.client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > until:
                raise AssertionError(f"SeaweedFS did not start:\n{log.read_text()[-2000:]}") from error
            time.sleep(0.1)
        else:
            return


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
