"""A server that is killed at any instant keeps every request that it acknowledged, and no part of any other."""

import contextlib
import random
import sqlite3
import threading
import time
from collections import Counter

import pytest
import requests
from tests.deployments import Direct, Http, opened, serving
from tests.machines.catalog.ledger import CATALOG, Ledger, visible
from tests.machines.killing import kill_at_work

WRITERS = 3


def killed_while_opening(folder, address, delay):
    """Kill a server that is about to put in order what the one before left."""
    with serving(folder, address, wait=False) as server:
        time.sleep(delay)
        server.kill()


def crash(folder, address, kills, seed):
    chance, fates = random.Random(seed), Counter()
    ledgers = [Ledger(number) for number in range(WRITERS)]
    for number in range(kills + 1):
        with serving(folder, address) as server:
            caller = Http(server.url)
            if number == 0:
                assert caller.send("POST", "/ermrest/catalog").status == 201
                for ledger in ledgers:
                    ledger.set_up(caller)
            for ledger in ledgers:
                fates[ledger.settle(caller)] += 1
                ledger.check_kept(caller, 2)
            if number < kills:
                kill_at_work(server, ledgers, chance.uniform(0.0, 0.4 if address is None else 1.5))
        if chance.random() < 0.2:
            killed_while_opening(folder, address, chance.uniform(0.0, 0.1))
    acknowledged = sum(ledger.acknowledged for ledger in ledgers)
    busy = sum(ledger.busy for ledger in ledgers)
    print(f"{kills} kills, {acknowledged} requests acknowledged, open: {dict(fates)}, {busy} answered 503")
    with opened(folder, address) as server:
        assert sum(ledger.check_kept(Direct(server)) for ledger in ledgers) == acknowledged
        model = Direct(server).send("GET", f"{CATALOG}/schema").json
    assert acknowledged >= kills
    if address is None:
        check_files(folder, ledgers, model)


def check_files(folder, ledgers, model):
    """The file is sound, and holds no table that the model does not know."""
    assert [path.name for path in (folder / "catalogs").iterdir()] == ["1.db"]
    with contextlib.closing(sqlite3.connect(folder / "catalogs" / "1.db")) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    stored = [name for name in tables if not name.startswith(("_ermrest_", "sqlite_"))]
    assert len(stored) == sum(len(schema["tables"]) for schema in model["schemas"].values())
    for ledger in ledgers:
        assert model["schemas"][ledger.schema]["tables"].keys() == visible(ledger.state).keys()


def test_killed_a_few_times(tmp_path, address):
    crash(tmp_path / "lab", address, 4, 1)


@pytest.mark.soak
def test_killed_many_times(tmp_path, address):
    crash(tmp_path / "lab", address, 200, 2)


def killed_amid_creation(folder, address, kills):
    """Catalogs come and go while the server is killed."""
    chance, there, gone, unsure = random.Random(3), set(), set(), set()

    def work(url):
        caller = Http(url)
        while True:
            try:
                made = caller.send("POST", "/ermrest/catalog")
                assert made.status == 201, made.body
                there.add(made.json["id"])
                if chance.random() < 0.5:
                    id = chance.choice(sorted(there))
                    there.remove(id)
                    unsure.add(id)
                    assert caller.send("DELETE", f"/ermrest/catalog/{id}").status == 204
                    unsure.remove(id)
                    gone.add(id)
            except requests.RequestException:
                return

    for _ in range(kills):
        with serving(folder, address) as server:
            thread = threading.Thread(target=work, args=(server.url,))
            thread.start()
            time.sleep(chance.uniform(0.0, 0.3))
            server.kill()
            thread.join()
    with opened(folder, address) as server:
        caller = Direct(server)
        assert {
            id for id in there if caller.send("GET", f"/ermrest/catalog/{id}/schema").status != 200
        } == set()
        assert {id for id in gone if caller.send("GET", f"/ermrest/catalog/{id}").status != 404} == set()
        assert caller.send("POST", "/ermrest/catalog").status == 201
        known = {entry.id for entry in server.registry.entries()}
        assert there <= known
        return known, there | gone | unsure


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_killed_amid_creation(tmp_path, address, kills):
    known, ever = killed_amid_creation(tmp_path / "lab", address, kills)
    print(f"{len(ever)} catalogs acknowledged, {len(known)} are left")
    if address is None:
        files = {path.name.partition(".")[0] for path in (tmp_path / "lab" / "catalogs").iterdir()}
        assert files <= known | ever


@pytest.mark.parametrize("kills", [8, pytest.param(150, marks=pytest.mark.soak)])
def test_killed_while_it_is_made(tmp_path, database, request, kills):
    chance = random.Random(4)
    for number in range(kills):
        folder = tmp_path / str(number)
        address = None if database == "sqlite" else request.getfixturevalue("new_address")()
        killed_while_opening(folder, address, chance.uniform(0.0, 0.08 if address is None else 0.5))
        with opened(folder, address) as server:
            assert Direct(server).send("POST", "/ermrest/catalog").status == 201
            assert Direct(server).send("GET", f"{CATALOG}/schema").status == 200
