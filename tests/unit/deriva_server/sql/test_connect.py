import linecache
import multiprocessing
import os
import sqlite3
import sys
import threading
import time

import pytest

from deriva_server import deployment
from deriva_server.errors import Busy, Conflict, DeploymentError, TimeLimit
from deriva_server.sql import connect
from deriva_server.sql.connect import Database
from deriva_server.sql.sqlite import database as sqlite
from deriva_server.sql.sqlite.database import SqliteDialect
from deriva_server.sql.sqlite.files import enter_wal

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def database(tmp_path):
    made = Database(SqliteDialect(tmp_path / "x.db"))
    enter_wal(made)
    with made.write() as connection:
        connection.raw.exec_driver_sql("CREATE TABLE t (x INTEGER UNIQUE)")
    yield made
    made.close()


def add(database, x):
    with database.write() as connection:
        connection.raw.exec_driver_sql("INSERT INTO t VALUES (?)", (x,))


def total(database):
    with database.read() as connection:
        return connection.raw.exec_driver_sql("SELECT count(*) FROM t").scalar_one()


def pragma(connection, name):
    return connection.raw.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_every_commit_is_durable(database):
    with database.read() as connection:
        assert pragma(connection, "journal_mode") == "wal"
        assert pragma(connection, "synchronous") == 2
        assert pragma(connection, "foreign_keys") == 1


def test_foreign_keys_are_enforced_again_after_a_change(database):
    with database.write(suspend_references=True) as connection:
        assert pragma(connection, "foreign_keys") == 0
    with database.write() as connection:
        assert pragma(connection, "foreign_keys") == 1


def test_errors_roll_back(database):
    with pytest.raises(RuntimeError), database.write() as connection:
        connection.raw.exec_driver_sql("INSERT INTO t VALUES (1)")
        raise RuntimeError
    assert total(database) == 0
    add(database, 1)
    with pytest.raises(Conflict):
        add(database, 1)
    assert total(database) == 1


def test_a_reader_sees_one_moment(database):
    with database.read() as connection:
        assert connection.raw.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0
        add(database, 1)
        assert connection.raw.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0
    assert total(database) == 1


COUNT = "SELECT count(*) FROM t"


def test_a_transaction_beside_another_sees_the_same_moment(database):
    with database.read(COUNT) as connection:
        with connection.beside() as other:
            assert other.first == connection.first == (0,)
            assert other.raw is not connection.raw
        add(database, 1)
        with connection.beside() as other:
            assert other is None
    with database.read() as connection, connection.beside() as other:
        assert other is None
    with database.write(COUNT) as connection, connection.beside() as other:
        # It would not see what this one wrote.
        assert other is None


def test_threads_wait_for_each_other(database):
    def work(thread):
        for i in range(20):
            add(database, thread * 100 + i)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(database) == 160


def test_a_locked_file_is_busy(database, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    other = Database(database.dialect)
    with database.write(), pytest.raises(Busy), other.write():
        pass
    other.close()


@pytest.mark.parametrize("name", ["locked", "full", "readonly", "interrupted"])
def test_names_are_not_taken_for_errors(database, name):
    with database.write() as connection:
        connection.raw.exec_driver_sql(f"CREATE TABLE u ({name} UNIQUE)")
    with pytest.raises(Conflict, match=name), database.write() as connection:
        connection.raw.exec_driver_sql("INSERT INTO u VALUES (1), (1)")


def test_statements_past_the_limit_are_interrupted(database):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(TimeLimit), database.read() as connection:
        connection.limit_time(0.1)
        connection.raw.exec_driver_sql(endless)
    assert total(database) == 0


def test_old_sqlite_is_refused():
    with pytest.raises(DeploymentError, match=r"3\.37\.2.*3\.39\.0"):
        deployment.check_sqlite((3, 37, 2))
    deployment.check_sqlite(sqlite3.sqlite_version_info)


def child(database, x):
    add(database, x)
    assert total(database) > 0


def run(target, *args):
    process = multiprocessing.get_context("fork").Process(target=target, args=args)
    process.start()
    return process


@FORK
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_use_connections_of_their_own(database):
    assert total(database) == 0
    children = [run(child, database, number) for number in range(4)]
    add(database, 100)
    for process in children:
        process.join()
        assert process.exitcode == 0
    assert total(database) == 5


@FORK
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_no_connection_lives_through_a_fork(database):
    assert total(database) == 0
    assert database._idle
    process = run(int)
    process.join()
    assert not database._idle
    assert total(database) == 0


@FORK
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_waits_for_the_transactions_of_other_threads(database):
    entered, done = threading.Event(), []

    def slow():
        with database.write() as connection:
            connection.raw.exec_driver_sql("INSERT INTO t VALUES (1)")
            entered.set()
            time.sleep(0.2)
            done.append(True)

    thread = threading.Thread(target=slow)
    thread.start()
    entered.wait()
    process = run(child, database, 2)
    assert done
    thread.join()
    process.join()
    assert process.exitcode == 0
    assert total(database) == 2


def refused(database):
    with pytest.raises(Busy, match="forked"):
        total(database)


@FORK
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_born_inside_a_transaction_is_refused(database):
    with database.read():
        process = run(refused, database)
        process.join()
    assert process.exitcode == 0
    connect._inherited.clear()
    add(database, 1)


@pytest.mark.parametrize("step", ["do_execute", "do_commit", "do_rollback"])
@pytest.mark.parametrize("nested", [False, True])
def test_an_interruption_leaves_the_database_usable(database, step, nested):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    before = total(database)
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(KeyboardInterrupt),
        database.write() as connection,
    ):
        if nested:
            connection.raw.begin_nested()
        patch.setattr(connection.raw.dialect, step, interrupt)
        connection.raw.exec_driver_sql("SELECT 1")
        if step == "do_rollback":
            raise KeyboardInterrupt
    for _ in range(3):
        assert total(database) == before
    with database.write() as connection:
        connection.raw.exec_driver_sql("SELECT 1")


def test_an_interrupted_statement_that_a_traceback_holds_locks_nobody_out(database, monkeypatch):
    for room in (connect, sqlite):
        monkeypatch.setattr(room, "BUSY_SECONDS", 0.1)
    before = total(database)

    def interrupt(cursor, _statement, _parameters, _context=None):
        cursor.execute("INSERT INTO t VALUES (1), (2), (3) RETURNING x")
        assert cursor.fetchone()
        raise KeyboardInterrupt

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(KeyboardInterrupt) as held,
        database.write() as connection,
    ):
        patch.setattr(connection.raw.dialect, "do_execute", interrupt)
        connection.raw.exec_driver_sql("SELECT 1")
    add(database, 1)
    assert total(database) == before + 1
    assert held.tb


def interrupted_at(number, work):
    """Do some work, with Ctrl-C before the line of this number; how many lines were begun, and the last of them."""
    begun, last = 0, ("", 0)

    def trace(frame, event, _argument):
        nonlocal begun, last
        if event == "line":
            begun, last = (
                begun + 1,
                (frame.f_code.co_name, linecache.getline(frame.f_code.co_filename, frame.f_lineno)),
            )
            if begun == number:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(former)
    return begun, last[1].strip()


# Python tells of what is raised while an object is given back, and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_at_any_line_leaves_the_database_usable(database, monkeypatch):
    for room in (connect, sqlite):
        monkeypatch.setattr(room, "BUSY_SECONDS", 0.1)
    lines, _ = interrupted_at(0, lambda: add(database, 0))
    for number in range(1, lines + 1):
        _, line = interrupted_at(number, lambda number=number: add(database, -number))
        if line == "self._writing.release()":
            # Of all steps this one alone can be kept from happening, for less than a microsecond.
            database._writing.release()
        add(database, number)
