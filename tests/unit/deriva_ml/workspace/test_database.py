import multiprocessing
import os
import pickle
import sqlite3

import pytest

from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException
from deriva_ml.workspace.database import Database

STEPS = [
    "CREATE TABLE notes (text TEXT)",
    "ALTER TABLE notes ADD COLUMN place TEXT; CREATE INDEX by_place ON notes (place)",
]


def add(database, text):
    with database.transaction() as connection:
        connection.execute("INSERT INTO notes (text) VALUES (?)", [text])


def texts(database):
    return [row[0] for row in database.fetch("SELECT text FROM notes ORDER BY rowid")]


def test_opens_lazily_and_keeps_rows(tmp_path):
    database = Database(tmp_path / "a" / "b.db", STEPS)
    assert not (tmp_path / "a").exists()
    add(database, "one")
    database.close()
    assert texts(Database(tmp_path / "a" / "b.db", STEPS)) == ["one"]


def test_every_transaction_is_durable(tmp_path):
    database = Database(tmp_path / "b.db", STEPS)
    add(database, "one")
    assert database.fetch_one("PRAGMA synchronous")[0] == 2
    assert database.fetch_one("PRAGMA journal_mode")[0] == "wal"


def test_an_older_file_is_migrated(tmp_path):
    add(Database(tmp_path / "b.db", STEPS[:1]), "old")
    newer = Database(tmp_path / "b.db", STEPS)
    assert newer.fetch_one("SELECT text, place FROM notes")[:] == ("old", None)


def test_a_newer_file_is_refused(tmp_path):
    add(Database(tmp_path / "b.db", STEPS), "new")
    with pytest.raises(DerivaMLConfigurationError, match="newer version"):
        texts(Database(tmp_path / "b.db", STEPS[:1]))


def test_a_failing_block_leaves_nothing(tmp_path):
    database = Database(tmp_path / "b.db", STEPS)
    with pytest.raises(RuntimeError), database.transaction() as connection:
        connection.execute("INSERT INTO notes (text) VALUES ('half')")
        raise RuntimeError
    assert texts(database) == []


def test_errors_are_ours(tmp_path):
    database = Database(tmp_path / "b.db", STEPS)
    with pytest.raises(DerivaMLException, match=r"b\.db"):
        database.fetch("SELECT nothing FROM nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DerivaMLConfigurationError, match="working_dir="):
        Database(tmp_path / "file" / "b.db", STEPS).fetch("SELECT 1")
    (tmp_path / "text.db").write_text("not a database, and longer than the header of one " * 10)
    with pytest.raises(DerivaMLConfigurationError):
        Database(tmp_path / "text.db", STEPS).fetch("SELECT 1")


def test_can_be_pickled(tmp_path):
    database = Database(tmp_path / "b.db", STEPS)
    add(database, "one")
    assert texts(pickle.loads(pickle.dumps(database))) == ["one"]


def test_a_forked_child_opens_its_own_connection(tmp_path):
    database = Database(tmp_path / "b.db", STEPS)
    add(database, "parent")
    pid = os.fork()
    if pid == 0:
        try:
            add(database, "child")
            database.close()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    add(database, "parent again")
    assert texts(database) == ["parent", "child", "parent again"]
    assert database.fetch_one("PRAGMA integrity_check")[0] == "ok"


def _write_many(path, number):
    database = Database(path, STEPS)
    for place in range(20):
        add(database, f"{number}-{place}")


def test_many_processes_write_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write_many, args=(tmp_path / "b.db", n)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    assert len(texts(Database(tmp_path / "b.db", STEPS))) == 120


def test_the_file_is_plain_sqlite(tmp_path):
    database = Database(tmp_path / "b.db", STEPS)
    add(database, "one")
    database.close()
    connection = sqlite3.connect(tmp_path / "b.db")
    assert connection.execute("SELECT text FROM notes").fetchall() == [("one",)]
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_leaves_the_connection_to_its_parent(tmp_path):
    database = Database(tmp_path / "b.db", STEPS)
    database.fetch("SELECT 1")
    child = os.fork()
    if not child:
        os._exit(int(database._connection is not None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert database.fetch("SELECT 1")
