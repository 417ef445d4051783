"""What a sweep notes in its folder: its execution, and how far each job is; any launcher's jobs can reach it there."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from deriva_ml.bag.lock import attempted, exclusive
from deriva_ml.workspace.whole_files import write_whole

FOLDER = "deriva-ml"
"""Folder of the notes in that of the sweep."""

State = Literal["running", "ran", "done", "failed", "interrupted"]


@dataclass(frozen=True)
class ParentNote:
    """The sweep as a whole.

    Parameters
    ----------
    execution : str
        RID of its execution, empty before it has one.
    started_in : str
        Folder in which it was typed, which tells the sweeps of several projects apart.
    config_name : str
    overrides : list of str
        As given, with all values that are swept.
    complete : bool
        Whether every job is done.
    """

    execution: str = ""
    started_in: str = ""
    config_name: str = ""
    overrides: list[str] = field(default_factory=list)
    complete: bool = False


@dataclass(frozen=True)
class JobNote:
    """One job.

    Parameters
    ----------
    number : int
        From 0.
    overrides : list of str
        Of this job.
    state : str
        ``ran`` when the model ended well and its outputs are not committed yet, ``done`` when they are.
    execution : str, optional
        RID of its execution, None before it has one.
    error : str, optional
    """

    number: int
    overrides: list[str]
    state: State
    execution: str | None = None
    error: str | None = None


class SweepNotes:
    """The notes of a sweep; each is replaced as a whole, so that a process that dies leaves the former one.

    Parameters
    ----------
    folder : Path
        Hydra's folder of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self.sweep_folder = folder
        self.folder = folder / FOLDER

    def parent(self) -> ParentNote | None:
        """Note of the whole, None if there is none."""
        found = _read(self.folder / "sweep.json")
        return ParentNote(**found) if found is not None else None

    def write_parent(self, note: ParentNote) -> None:
        """Note the whole."""
        _write(self.folder / "sweep.json", asdict(note))

    def job(self, number: int) -> JobNote | None:
        """Note of a job, None if there is none."""
        found = _read(self._job_file(number))
        return JobNote(**found) if found is not None else None

    def write_job(self, note: JobNote) -> None:
        """Note a job."""
        _write(self._job_file(note.number), asdict(note))

    def jobs(self) -> list[JobNote]:
        """Notes of all jobs that began, in their order."""
        files = self.folder.glob("job-*.json")
        return sorted((JobNote(**(_read(file) or {})) for file in files), key=lambda note: note.number)

    def clear(self) -> None:
        """Forget everything: the sweep begins."""
        for file in [*self.folder.glob("job-*.json"), *self.folder.glob("sweep.json")]:
            file.unlink()

    def making_parent(self) -> AbstractContextManager[None]:
        """One process at a time makes the execution of the sweep."""
        return exclusive(self.folder / "sweep.lock")

    def running(self) -> AbstractContextManager[bool]:
        """Held by the process that runs the sweep; False if another one does."""
        return attempted(self.folder / "running.lock")

    def running_job(self, number: int) -> AbstractContextManager[None]:
        """Held while a job runs: workers may outlive the process that started them."""
        waiting = f"Job {number} is still run by another process; waiting for its end."
        return exclusive(self._job_lock(number), waiting)

    def attempted_job(self, number: int) -> AbstractContextManager[bool]:
        """Held for a look at a job; False while somebody runs it."""
        return attempted(self._job_lock(number))

    def _job_lock(self, number: int) -> Path:
        return self.folder / f"job-{number}.lock"

    def _job_file(self, number: int) -> Path:
        return self.folder / f"job-{number}.json"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def _write(file: Path, note: dict[str, Any]) -> None:
    write_whole(file, json.dumps(note, indent=2))


def find_unfinished(sweeps: Path, wanted: ParentNote) -> SweepNotes | None:
    """The last sweep of the same overrides in the same folder that has jobs to do.

    Parameters
    ----------
    sweeps : Path
        Folder of all sweeps of a catalog.
    wanted : ParentNote
        As it was noted at the beginning.

    Returns
    -------
    SweepNotes or None
    """
    for file in sorted(sweeps.glob(f"*/{FOLDER}/sweep.json"), key=lambda file: file.parts, reverse=True):
        notes = SweepNotes(file.parents[1])
        parent = notes.parent()
        if parent is not None and replace(parent, execution=wanted.execution) == wanted:
            return notes
    return None
