"""Many at once on one catalog: none fails, none is lost, and every snapshot is consistent and lasts."""

import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from tests.deployments import Direct, Http, column, opened, processes, serving
from tests.machines.catalog import bank

from deriva_server.http.message import Request

PROCESSES, THREADS = 16, 32


def embedded(folder, address, workers, transactions):
    with opened(folder, address) as server:
        bank.set_up(Direct(server), workers)
    with ProcessPoolExecutor(workers, mp_context=processes) as pool:
        jobs = [
            pool.submit(bank.work_embedded, folder, address, number, workers, transactions)
            for number in range(workers)
        ]
        found = [job.result() for job in jobs]
    with opened(folder, address) as server:
        bank.check_final(Direct(server), found)
        snapshots = bank.check_again(Direct(server), found, workers)
    return found, snapshots


def over_http(folder, address, workers, transactions):
    with serving(folder, address) as server:
        bank.set_up(Http(server.url), workers)
        with ThreadPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(bank.work_http, server.url, number, workers, transactions)
                for number in range(workers)
            ]
            found = [job.result() for job in jobs]
        bank.check_final(Http(server.url), found)
        snapshots = bank.check_again(Http(server.url), found, workers)
    return found, snapshots


def told(found, snapshots, began):
    requests = sum(sum(each.done.values()) for each in found)
    print(
        f"{len(found)} workers, {requests} requests, {snapshots} snapshots, {sum(each.busy for each in found)} answered"
        f" 503, longest {max(each.longest for each in found):.2f} s, {time.monotonic() - began:.0f} s in all"
    )


def test_a_few_processes(tmp_path, address):
    found, snapshots = embedded(tmp_path / "lab", address, 4, 25)
    assert snapshots
    assert not sum(each.busy for each in found)


def test_a_few_threads_over_http(tmp_path, address):
    _, snapshots = over_http(tmp_path / "lab", address, 6, 20)
    assert snapshots


@pytest.mark.soak
def test_many_processes(tmp_path, address):
    began = time.monotonic()
    found, snapshots = embedded(tmp_path / "lab", address, PROCESSES, 200)
    told(found, snapshots, began)
    assert not sum(each.busy for each in found)


@pytest.mark.soak
def test_many_threads_over_http(tmp_path, address):
    began = time.monotonic()
    found, snapshots = over_http(tmp_path / "lab", address, THREADS, 200)
    told(found, snapshots, began)


class Reader(threading.Thread):
    """Reads one row and the model again and again, and remembers its longest wait."""

    def __init__(self, caller):
        super().__init__()
        self.caller, self.enough = caller, threading.Event()
        self.longest, self.count = 0.0, 0

    def run(self):
        while not self.enough.is_set():
            for path in ("/entity/bank:Counter", "/schema/bank/table/Item", ""):
                began = time.monotonic()
                assert self.caller.send("GET", bank.CATALOG + path).status == 200
                self.longest = max(self.longest, time.monotonic() - began)
                self.count += 1


def waits(caller, write):
    """How long a write takes, and the longest wait of a reader meanwhile."""
    readers = [Reader(caller) for _ in range(2)]
    for reader in readers:
        reader.start()
    began = time.monotonic()
    write()
    took = time.monotonic() - began
    for reader in readers:
        reader.enough.set()
        reader.join()
    print(f"write {took:.2f} s, longest wait {max(reader.longest for reader in readers):.3f} s")
    assert all(reader.count for reader in readers)
    return took, max(reader.longest for reader in readers)


@pytest.mark.parametrize("place", ["same process", "other process"])
def test_readers_do_not_wait_for_an_open_transaction(tmp_path, address, place):
    with serving(tmp_path / "lab", address) as other, opened(tmp_path / "lab", address) as server:
        bank.set_up(Direct(server), 1)
        catalog = server.registry.catalog("1")
        client = server.application.identify(Request("GET", "/"))

        def hold():
            with catalog.write(client) as writing:
                time.sleep(1.5)
                writing.keep()

        took, longest = waits(Direct(server) if place == "same process" else Http(other.url), hold)
    assert longest < took / 2


@pytest.mark.parametrize("place", ["same process", "other process"])
def test_readers_wait_no_longer_than_a_write_takes(tmp_path, address, place):
    with serving(tmp_path / "lab", address) as other, opened(tmp_path / "lab", address) as server:
        bank.set_up(Direct(server), 1)
        direct = Direct(server)
        rows = [{"Parcel": None, "Nr": nr} for nr in range(20_000)]

        def insert():
            assert direct.send("POST", f"{bank.CATALOG}/entity/bank:Item", rows).status == 200

        def alter():
            for body in (column("more", "text", default="x", nullok=False), column("z", "int4")):
                assert (
                    direct.send("POST", f"{bank.CATALOG}/schema/bank/table/Item/column", body).status == 201
                )
            change = {"type": {"typename": "int8"}}
            assert (
                direct.send("PUT", f"{bank.CATALOG}/schema/bank/table/Item/column/Nr", change).status == 200
            )

        caller = direct if place == "same process" else Http(other.url)
        found = [waits(caller, insert), waits(caller, alter)]
    assert all(longest < took + 0.5 for took, longest in found), found
