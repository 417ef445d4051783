"""Who may work on an execution while others do."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deriva_ml.errors import DerivaMLException, DerivaMLExecutionError
from deriva_ml.execution import lifecycle, lock, sync
from deriva_ml.execution.commit import commit_many
from deriva_ml.execution.execution import resume_execution
from deriva_ml.execution.execution_snapshot import gc_executions
from deriva_ml.execution.lock import locked
from deriva_ml.names import ExecutionStatus
from deriva_ml.workspace import paths
from deriva_ml.workspace.executions import this_process


@contextmanager
def elsewhere(work):
    """Another process that has begun some work and goes on until the block ends; gives its number."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with work():
            os.write(writing, b"x")
            signal.pause()
        os._exit(0)
    try:
        assert os.read(reading, 1) == b"x"
        yield pid
    finally:
        os.close(reading)
        os.close(writing)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def waiting(execute):
    """An execution that waits for its commit."""
    with execute() as exe:
        exe.asset_file_path("Model", "m.bin").write_text(exe.execution_rid)
    return exe


def lock_file(session, rid):
    workspace = session.workspace
    return paths.lock_file(workspace.root, workspace.authority, workspace.catalog_id, rid)


def test_the_second_is_told_who_the_first_is(session, waiting):
    rid = waiting.execution_rid
    with elsewhere(lambda: locked(session, rid, "commit")) as pid:
        holder = rf"execution {rid}: process {pid} on {socket.gethostname()} is at work on it \(commit\)"
        for act in (waiting.commit_output_assets, lambda: resume_execution(session, rid)):
            with pytest.raises(DerivaMLExecutionError, match=holder):
                act()
        assert re.search(holder, commit_many(session, [rid]).errors[0])
        assert gc_executions(session, status=[ExecutionStatus.Stopped]) == 0
    # Killed: its lock is free, and what it said of itself is not said any more.
    with locked(session, rid, "resume"):
        here = f"process {os.getpid()} on {socket.gethostname()} is at work on it (resume)"
        assert lock_file(session, rid).read_text() == here
    assert waiting.commit_output_assets().total_uploaded == 1
    assert not lock_file(session, rid).exists()


@contextmanager
def without(*names):
    """A file system that has not these kinds of locks."""

    def refuses(*given):
        raise OSError(errno.ENOLCK, "No locks available")

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(fcntl, name, refuses)
        yield


@pytest.mark.parametrize("missing", [(), ("flock",)])
def test_threads_are_kept_apart_too(session, waiting, missing):
    rid, seen = waiting.execution_rid, []

    def attempt():
        try:
            waiting.commit_output_assets()
        except DerivaMLExecutionError as error:
            seen.append(str(error))

    with without(*missing), locked(session, rid, "test"):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert f"process {os.getpid()}" in seen[0]
    waiting.commit_output_assets()


def test_file_systems_with_the_other_kind_of_locks(session, waiting):
    rid = waiting.execution_rid
    with without("flock"):
        with (
            elsewhere(lambda: locked(session, rid, "commit")) as pid,
            pytest.raises(DerivaMLExecutionError, match=f"process {pid}"),
            locked(session, rid, "commit"),
        ):
            pass
        with locked(session, rid, "commit"):
            pass


def test_file_systems_without_locks(session, waiting):
    with without("flock", "lockf"), pytest.raises(DerivaMLExecutionError, match="local disk"):
        waiting.commit_output_assets()
    assert waiting.status is ExecutionStatus.Stopped


def test_a_child_does_not_keep_the_lock(session, waiting):
    rid, (reading, writing) = waiting.execution_rid, os.pipe()
    with locked(session, rid, "commit"):
        child = os.fork()
        if child == 0:
            os.read(reading, 1)
            locking_ends_it(session, rid)
    waiting.commit_output_assets()
    os.write(writing, b"x")
    assert os.waitpid(child, 0)[1] == 0


def locking_ends_it(session, rid):
    """End this process, well if it can take the lock of an execution."""
    signal.alarm(60)
    with suppress(DerivaMLExecutionError), locked(session, rid, "test"):
        os._exit(0)
    os._exit(1)


def test_a_child_does_not_give_up_its_parents_lock(session, waiting):
    with locked(session, waiting.execution_rid, "commit"):
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            assert lock_file(session, waiting.execution_rid).exists()
    if not child:
        os._exit(0)


def test_a_child_does_not_wait_for_threads_that_it_has_not(session, waiting):
    with lock._guard:
        child = os.fork()
        if child == 0:
            locking_ends_it(session, waiting.execution_rid)
    assert os.waitpid(child, 0)[1] == 0


def test_a_file_goes_before_others_can_lock_it(session, waiting, monkeypatch):
    unlink, gone = Path.unlink, []

    def watched(path, **options):
        with path.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlink(path, **options)
        gone.append(path)

    with locked(session, waiting.execution_rid, "test"):
        monkeypatch.setattr(Path, "unlink", watched)
    assert gone == [lock_file(session, waiting.execution_rid)]


def test_a_lock_of_a_file_that_is_gone_is_none(session, waiting, monkeypatch):
    path, flock, opened = lock_file(session, waiting.execution_rid), fcntl.flock, []

    def late(number, how):
        if not opened:
            # Its former holder is faster.
            path.unlink()
        opened.append(number)
        flock(number, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(session, waiting.execution_rid, "test"):
        assert path.exists()
    assert len(opened) == 2


def test_one_waits_for_a_file_that_goes(session, waiting):
    """A lock of a file that was removed by its former holder keeps nobody out, so it is not taken for one."""
    rid, turns = waiting.execution_rid, []

    def work():
        for _ in range(60):
            try:
                with locked(session, rid, "test"):
                    turns.append(len(turns))
                    assert turns[-1] == len(turns) - 1
            except DerivaMLExecutionError:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert turns == list(range(len(turns)))
    assert turns


def test_a_run_that_goes_on_elsewhere_is_not_committed(session, execute):
    exe = execute()

    @contextmanager
    def running():
        with exe:
            exe.asset_file_path("Model", "run.bin").write_text(exe.execution_rid)
            yield

    with elsewhere(running) as pid:
        again = resume_execution(session, exe.execution_rid)
        with pytest.raises(DerivaMLExecutionError, match=f"process {pid} on .* runs it"):
            again.commit_output_assets()
        assert again.status is ExecutionStatus.Running
    # Its process is gone now.
    assert again.commit_output_assets().total_uploaded == 1


def test_a_child_may_commit_its_parents_run(execute):
    with execute() as exe:
        exe.asset_file_path("Model", "child.bin").write_text(exe.execution_rid)
        if (child := os.fork()) == 0:
            exe.commit_output_assets()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert exe.status is ExecutionStatus.Uploaded


def test_an_execution_that_is_created_is_not_resumed(session, execute):
    exe = execute()
    session.workspace.executions.update(exe.execution_rid, prepared=False)

    @contextmanager
    def creating():
        session.workspace.executions.update(exe.execution_rid, **this_process())
        yield

    with (
        elsewhere(creating) as pid,
        pytest.raises(DerivaMLExecutionError, match=f"process {pid} on .* creates it"),
    ):
        resume_execution(session, exe.execution_rid)
    assert resume_execution(session, exe.execution_rid).status is ExecutionStatus.Created


@pytest.mark.parametrize("before", ["Stopped", "Pending_Upload"])
def test_who_commits_is_not_called_gone(session, waiting, before):
    rid = waiting.execution_rid
    session.workspace.executions.update(rid, status=ExecutionStatus(before), owner_pid=2**22 + 1)
    assert session.workspace.executions.get(rid).owner_is_gone
    lifecycle.begin_upload(session, rid)
    assert session.workspace.executions.get(rid).is_mine


def test_states_sent_in_the_wrong_order_are_sent_again(session, execute, row_of, monkeypatch):
    exe = execute()
    exe.execution_start()
    sent, once = sync._sent, []

    def late(session, state):
        if not once:
            once.append(state)
            # Another process goes on between the reading of the state and its arrival.
            session.workspace.executions.update(state.rid, status_detail="second", sync_pending=True)
            sent(session, session.workspace.executions.get(state.rid))
        return sent(session, state)

    monkeypatch.setattr(sync, "_sent", late)
    exe.update_status(ExecutionStatus.Running, "first")
    assert row_of("Execution", exe.execution_rid)["Status_Detail"] == "second"
    assert not session.workspace.executions.get(exe.execution_rid).sync_pending


def test_an_unknown_execution_is_not_locked(session):
    with pytest.raises(DerivaMLException, match="nothing to resume"):
        resume_execution(session, "1-ZZZZ")
    assert not lock_file(session, "1-ZZZZ").exists()
