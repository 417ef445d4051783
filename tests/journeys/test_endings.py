"""How runs end that a scheduler or a user ends: recorded, outputs kept, and by the signal itself."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.interpreter import python
from tests.journeys.test_processes import served

from deriva_ml import DerivaML
from deriva_ml.execution import lifecycle, run, signals
from deriva_ml.names import ExecutionStatus
from deriva_ml.schema import create_ml_catalog

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("endings")
    create_ml_catalog(str(place / "lab"), "lab")
    return place


@pytest.fixture
def ml(lab: Path, monkeypatch: pytest.MonkeyPatch) -> DerivaML:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    return DerivaML(str(lab / "lab"), 1, working_dir=lab / "work")


def begin(ml: DerivaML) -> Any:
    return ml.create_execution(workflow=ml.create_workflow("ends", "Testing"), description="ends")


def end(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)


def code_of(program: Callable[[], object]) -> int:
    """How a process ends that runs a program: 0, or minus the signal; 70 after an error, 71 after Ctrl-C."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            program()
        except KeyboardInterrupt:
            code = 71
        except BaseException:
            code = 70
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def told(ml: DerivaML, exe: Any) -> tuple[str, str | None]:
    """Status and error here; the catalog must say the same."""
    record = ml.lookup_execution(exe.execution_rid)
    assert record.status == exe.status
    return str(exe.status), exe.error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_recorded_and_has_its_way(ml: DerivaML, tmp_path: Path, number: int) -> None:
    exe, log = begin(ml), tmp_path / "log"

    def program() -> None:
        logging.getLogger("deriva_ml").addHandler(logging.FileHandler(log))
        with exe:
            exe.asset_file_path("Execution_Asset", f"half-{number}.txt").write_text("half")
            try:
                end(number)
            finally:
                (tmp_path / "cleaned").touch()
        (tmp_path / "went on").touch()

    assert code_of(program) == -number
    assert {path.name for path in tmp_path.iterdir()} == {"cleaned", "log"}
    ended = f"ended by signal {signal.Signals(number).name}"
    assert log.read_text().startswith(f"Execution {exe.execution_rid} was {ended}. What it had made is kept")
    assert told(ml, exe) == ("Failed", f"Terminated: {ended}")
    again = ml.resume_execution(exe.execution_rid)
    assert again.commit_output_assets().total_uploaded == 1
    assert told(ml, again)[0] == "Uploaded"


def test_ctrl_c_goes_on_as_the_exception_it_is(ml: DerivaML) -> None:
    exe = begin(ml)

    def program() -> None:
        with exe:
            end(signal.SIGINT)

    assert code_of(program) == 71
    assert told(ml, exe) == ("Failed", "KeyboardInterrupt")


def test_ctrl_c_again_while_the_end_is_recorded(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    exe, fail = begin(ml), lifecycle.fail

    def interrupted(*given: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        fail(*given, **options)

    def program() -> None:
        monkeypatch.setattr(lifecycle, "fail", interrupted)
        with exe:
            end(signal.SIGINT)

    assert code_of(program) == 71
    assert (str(exe.status), exe.error) == ("Failed", "KeyboardInterrupt")
    assert told(ml, ml.resume_execution(exe.execution_rid))[0] == "Failed"


def test_what_the_program_handles_is_left_to_it(ml: DerivaML) -> None:
    exe, seen = begin(ml), []

    def program() -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with exe:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        with begin(ml):
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler

    assert code_of(program) == 0
    assert told(ml, exe) == ("Stopped", None)


def test_a_program_that_catches_it_goes_on(ml: DerivaML) -> None:
    exe = begin(ml)

    def program() -> None:
        with exe:
            try:
                end()
            except SystemExit as caught:
                assert caught.code == 128 + signal.SIGTERM
        assert exe.status is ExecutionStatus.Stopped
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    assert code_of(program) == 0
    assert told(ml, exe) == ("Stopped", None)


def test_another_error_on_the_way_out(ml: DerivaML) -> None:
    exe = begin(ml)

    def program() -> None:
        with exe:
            try:
                end()
            finally:
                raise OSError("no room")

    assert code_of(program) == -signal.SIGTERM
    assert told(ml, exe) == ("Failed", "OSError: no room (ended by signal SIGTERM)")


def test_runs_within_runs_and_in_threads_end_too(ml: DerivaML, tmp_path: Path) -> None:
    outer, inner, other, late = (begin(ml) for _ in range(4))

    def elsewhere(begun: threading.Event) -> None:
        with other:
            begun.set()
            time.sleep(20)

    def program() -> None:
        begun = threading.Event()
        threading.Thread(target=elsewhere, args=[begun], daemon=True).start()
        begun.wait(20)
        with outer:
            try:
                with inner:
                    end()
            finally:
                (tmp_path / "between").touch()
                with late:
                    pass

    assert code_of(program) == -signal.SIGTERM
    assert (tmp_path / "between").exists()
    reason = "Terminated: ended by signal SIGTERM"
    assert told(ml, inner) == told(ml, outer) == ("Failed", reason)
    assert told(ml, late) == ("Stopped", None)
    assert (str(other.status), other.error) == ("Failed", reason.partition(": ")[2])
    assert told(ml, ml.resume_execution(other.execution_rid))[0] == "Failed"


def test_a_block_in_a_generator(ml: DerivaML) -> None:
    exe = begin(ml)

    def steps() -> Iterator[int]:
        with exe:
            yield from range(9)

    def program() -> None:
        for _ in steps():
            end()

    assert code_of(program) == -signal.SIGTERM
    status, error = told(ml, exe)
    assert status == "Failed"
    assert "SIGTERM" in str(error)


HELD = """
import os, signal, sys, time
from deriva_ml import DerivaML

ml = DerivaML(sys.argv[1], 1, working_dir=sys.argv[2])
exe = ml.create_execution(workflow=ml.create_workflow("held", "Testing"))
exe.__enter__()
print(exe.execution_rid, flush=True)
if sys.argv[3] == "signal":
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
"""


def test_a_block_that_is_never_left(ml: DerivaML, lab: Path) -> None:
    def run_of(how: str) -> tuple[int, Any]:
        command = [python(), "-c", HELD, lab / "lab", lab / "work", how]
        done = subprocess.run(command, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        (found,) = [each for each in ml.list_executions() if each.rid == done.stdout.strip()]
        return done.returncode, found

    code, ended = run_of("signal")
    assert (code, ended.status) == (-signal.SIGTERM, "Failed")
    assert "SIGTERM" in ended.error
    code, left = run_of("end")
    assert (code, left.status) == (0, "Running")
    assert left.owner_gone_since is not None
    assert "owner gone since" in repr([left])


def test_a_second_signal_while_the_program_cleans_up(ml: DerivaML) -> None:
    exe = begin(ml)

    def program() -> None:
        with exe:
            try:
                end()
            finally:
                end()

    assert code_of(program) == -signal.SIGTERM
    assert told(ml, exe)[0] == "Failed"


def test_a_signal_while_a_run_starts(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    exe = begin(ml)

    def program() -> None:
        monkeypatch.setattr(lifecycle, "push", lambda *given: end())
        with exe:
            pass

    assert code_of(program) == -signal.SIGTERM
    assert (str(exe.status), exe.error) == ("Failed", "Terminated: ended by signal SIGTERM")


def test_a_signal_while_an_inner_run_is_left(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = begin(ml), begin(ml)

    def program() -> None:
        monkeypatch.setattr(inner._outputs.manifest, "write_mirror", lambda: end())
        with outer:
            with inner:
                pass
            outer.update_status("Running", "never reached")

    assert code_of(program) == -signal.SIGTERM
    assert told(ml, inner) == ("Stopped", None)
    assert told(ml, outer) == ("Failed", "Terminated: ended by signal SIGTERM")


@pytest.mark.parametrize("patience", [0.3, 60])
def test_a_signal_while_the_catalog_is_told(
    ml: DerivaML, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    exe = begin(ml)

    def hangs(*given: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(300)

    def program() -> None:
        monkeypatch.setattr(run, "push", hangs)
        monkeypatch.setattr(signals, "_SECONDS", patience)
        with exe:
            pass

    started = time.monotonic()
    assert code_of(program) == -signal.SIGTERM
    assert time.monotonic() - started < 45
    # The block had ended well before the signal came.
    assert (str(exe.status), exe.error) == ("Stopped", None)
    assert told(ml, ml.resume_execution(exe.execution_rid)) == ("Stopped", None)


def test_a_server_that_no_longer_answers(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    with served(lab / "lab") as (url, server):
        there = DerivaML(url, 1, working_dir=lab / "there")
        exe = begin(there)

        def program() -> None:
            monkeypatch.setattr(signals, "_SECONDS", 0.3)
            with exe:
                os.kill(server, signal.SIGSTOP)
                end()

        started = time.monotonic()
        assert code_of(program) == -signal.SIGTERM
        assert time.monotonic() - started < 45
        os.kill(server, signal.SIGCONT)
        assert exe.status is ExecutionStatus.Failed
        again = there.resume_execution(exe.execution_rid)
        assert told(there, again) == ("Failed", "Terminated: ended by signal SIGTERM")


def test_reasons_that_are_hard_to_write(ml: DerivaML) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    for error, reason in (
        (Mute(), "Mute: <exception str() failed>"),
        (ValueError(), "ValueError"),
        (ValueError("a\0b\udcff"), "ValueError: a\\0b\\udcff"),
    ):
        exe = begin(ml)
        with pytest.raises(type(error)), exe:
            raise error
        assert told(ml, exe) == ("Failed", reason)
