"""Several clients at once of a deployment that is served as a team does: catalogs on PostgreSQL, files on S3."""

from __future__ import annotations

import hashlib
import random
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.buckets import free_ports
from tests.interpreter import program

from deriva_ml import (
    BuiltinTypes,
    ColumnDefinition,
    DatasetSpec,
    DerivaML,
    ExecutionConfiguration,
    TableDefinition,
)
from deriva_ml.schema import create_ml_catalog
from deriva_ml.workflow.workflow import Workflow
from deriva_server.embed import LocalServer

TARGETS = 5
CHUNK = 20_000
"""Bytes of one request of an upload, so that the largest file of a run takes several."""

SIZES = (0, 700, 3 * CHUNK + 1)
"""Bytes of the files of a run."""


class Served:
    """`deriva-ml serve` on one port, which is stopped, killed and started again.

    Parameters
    ----------
    folder : Path
        Of the deployment.
    log : Path
        What the servers say.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self._words = [*program("deriva-ml"), "serve", str(folder), "--port", str(self.port)]
        self._log, self._process = log, None

    def start(self) -> None:
        """Serve, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log)
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and wait for the end of the process and of its port; the status of its end."""
        self._process.send_signal(number)
        status = self._process.wait(60)
        while self._listens():
            time.sleep(0.02)
        return status

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    @contextmanager
    def running(self) -> Iterator[Served]:
        """Serve for a block; in the end with as few words as a kill."""
        self.start()
        try:
            yield self
        finally:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            # Shown where a test fails.
            print(self._log.read_text())


@dataclass(frozen=True)
class Team:
    """What the clients work on.

    Parameters
    ----------
    folder : Path
        Of the deployment.
    targets : tuple of str
        RIDs of the rows that get feature values.
    """

    folder: Path
    targets: tuple[str, ...]

    @classmethod
    def made(cls, folder: Path, database: str, bucket: str) -> Team:
        """A new deployment with one catalog."""
        with LocalServer.open(folder, create=True, database=database, objects=bucket):
            create_ml_catalog(str(folder), "team")
            ml = DerivaML(str(folder), 1, working_dir=folder.parent / "setup")
            ml.create_schema("team")
            ml.create_table(TableDefinition("Target", [ColumnDefinition("Name", BuiltinTypes.text)]))
            ml.create_asset("Image")
            ml.create_vocabulary("Grade", "How bad it is")
            ml.add_term("Grade", "Mild", "little")
            ml.create_feature("Target", "Label", terms=["Grade"])
            ml.create_feature("Target", "Mask", assets=["Image"])
            for table in ("Target", "Image"):
                ml.add_dataset_element_type(table)
            path = ml.pathBuilder().schemas["team"].tables["Target"]
            made = path.insert([{"Name": f"t{number}"} for number in range(TARGETS)])
            return cls(folder, tuple(sorted(row["RID"] for row in made)))


class Client:
    """Makes one execution after the other, each of which reads what the one before made.

    Parameters
    ----------
    team : Team
    url : str
        Of the server.
    name : str
    folder : Path
        For its working directory and its notes.
    """

    def __init__(self, team: Team, url: str, name: str, folder: Path) -> None:
        self.team, self.name, self.folder = team, name, folder / name
        self.folder.mkdir(exist_ok=True)
        self._url, self._notes = url, self.folder / "acknowledged"

    @cached_property
    def ml(self) -> DerivaML:
        """Its connection, with a working directory of its own."""
        return DerivaML(self._url, 1, working_dir=self.folder / "work", chunk_size=CHUNK)

    @property
    def acknowledged(self) -> list[str]:
        """Labels of the runs that it took for uploaded."""
        return self._notes.read_text().split() if self._notes.exists() else []

    def work(self, until: Path) -> None:
        """Make executions until there is a file, two at least."""
        assets, datasets, number = [], [], 0
        while number < 2 or not until.exists():
            label = f"{self.name}-{number}"
            assets, datasets = self._run(label, assets, datasets)
            with self._notes.open("a") as notes:
                notes.write(f"{label}\n")
            number += 1

    def _run(self, label: str, assets: list[str], datasets: list[DatasetSpec]) -> Any:
        ml = self.ml
        config = ExecutionConfiguration(
            workflow=_workflow(self.name), description=label, assets=assets, datasets=datasets
        )
        value, mask = (ml.feature_record_class("Target", name) for name in ("Label", "Mask"))
        with ml.create_execution(config) as exe:
            for spec in datasets:
                bag = exe.download_dataset_bag(spec)
                assert sorted(bag.list_members("Target")) == sorted(self.team.targets)
            for name, data in files(label).items():
                exe.asset_file_path("Image", name).write_bytes(data)
            exe.add_features([value(Target=rid, Grade="Mild") for rid in self.team.targets])
            image = exe.asset_file_path("Image", f"{label}.mask")
            image.write_text(label)
            exe.add_features([mask(Target=rid, Image=image) for rid in self.team.targets])
            dataset = exe.create_dataset(description=label)
            dataset.add_dataset_members({"Target": list(self.team.targets), "Image": assets})
            version = dataset.release("minor", label)
        exe.commit_output_assets()
        assert exe.status == "Uploaded", exe.status
        made = [one.asset_rid for one in exe.uploaded_assets["team/Image"]]
        return made, [DatasetSpec(rid=dataset.dataset_rid, version=version)]

    def pending(self) -> list[str]:
        """What waits in its working directory."""
        kept = self.ml.find_incomplete_executions()
        partial = (self.folder / "work").rglob("*.partial*")
        return [*(found.rid for found in kept), *(path.name for path in partial)]


def files(label: str) -> dict[str, bytes]:
    """Contents of the files that a run makes, but for the mask."""
    return {
        f"{label}.{size}": (hashlib.sha256(label.encode()).digest() * (size // 32 + 1))[:size]
        for size in SIZES
    }


def _workflow(name: str) -> Workflow:
    return Workflow(
        name=f"of {name}", workflow_type="Testing", url=f"https://example.org/{name}", checksum="c" * 40
    )


def disturbed(served: Served, seconds: float, chance: random.Random) -> Counter[str]:
    """Kill and stop the server of working clients for so many seconds, and start it again each time; how often."""
    told, end = Counter[str](), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.1, 4.0))
        number = chance.choice([signal.SIGKILL, signal.SIGTERM])
        status = served.end(number)
        assert number == signal.SIGKILL or status == 0, status
        time.sleep(chance.choice([0.0, chance.uniform(0.0, 3.0)]))
        served.start()
        told[number.name] += 1
    return told
