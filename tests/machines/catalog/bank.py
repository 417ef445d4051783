"""A mixed load on one catalog whose every snapshot must hold what no single table can promise.

Transfers keep the sum of all balances. A parcel has all of its items or none yet, whatever it is called at the
moment. A leased RID is a lease or a mark, never both. The counter counts the increments that were acknowledged.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deployments import Answer, Caller, Direct, Http, column, opened, reference, table

CATALOG = "/ermrest/catalog/1"
ACCOUNTS, START, ITEMS = 4, 100, 3
Shown = dict[str, bytes]
"""Bodies of the model and of the rows of each table."""
TABLES = ("bank:Account", "bank:Parcel", "bank:Item", "bank:Mark", "bank:Counter", "public:ERMrest_RID_Lease")


def set_up(caller: Caller, workers: int) -> None:
    """Make catalog 1 and its tables."""
    assert caller.send("POST", "/ermrest/catalog").status == 201
    cascade = reference("bank", "Parcel", "Parcel", "Name", on_delete="CASCADE", on_update="CASCADE")
    documents = [
        table("bank", "Account", [column("Name", "text"), column("Balance", "int8")], [["Name"]]),
        table("bank", "Parcel", [column("Name", "text")], [["Name"]]),
        table(
            "bank", "Item", [column("Parcel", "text"), column("Nr", "int4")], [["Parcel", "Nr"]], [cascade]
        ),
        table("bank", "Mark", [column("Tag", "text")], []),
        table("bank", "Counter", [column("N", "int8")], []),
    ]
    made = caller.send("POST", f"{CATALOG}/schema", [{"schema_name": "bank"}, *documents])
    assert made.status == 201, made.body
    accounts = [
        {"Name": f"{worker}-{number}", "Balance": START}
        for worker in range(workers)
        for number in range(ACCOUNTS)
    ]
    assert caller.send("POST", f"{CATALOG}/entity/bank:Account", accounts).status == 200
    assert caller.send("POST", f"{CATALOG}/entity/bank:Counter", [{"N": 0}]).status == 200


@dataclass
class Effects:
    """What one worker was told has happened."""

    balances: dict[str, int] = field(default_factory=dict)
    parcels: dict[str, bool] = field(default_factory=dict)
    """Name to whether the items are in it."""
    marks: set[str] = field(default_factory=set)
    leases: set[str] = field(default_factory=set)
    increments: int = 0
    seen: dict[str, Shown] = field(default_factory=dict)
    """Snapshot to what it showed."""
    busy: int = 0
    done: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0


class Worker:
    """One of many that change and read the bank; `alters` is the one that also changes the model."""

    def __init__(self, caller: Caller, number: int, alters: bool, workers: int) -> None:
        self.caller, self.number, self.workers = caller, number, workers
        self.random = random.Random(number)
        self.effects = Effects({f"{number}-{place}": START for place in range(ACCOUNTS)})
        self.count = 0
        self.actions = ACTIONS + ([Worker.alter] * 3 if alters else [])
        self.extra: list[str] = []

    def run(self, transactions: int) -> Effects:
        while sum(self.effects.done.values()) < transactions:
            self.count += 1
            self.random.choice(self.actions)(self)
        return self.effects

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Answer:
        """Send until the answer is not 503, the only failure that is allowed and that must change nothing."""
        while True:
            began = time.monotonic()
            answer = self.caller.send(method, CATALOG + path, body)
            self.effects.longest = max(self.effects.longest, time.monotonic() - began)
            if answer.status != 503:
                assert answer.status == status, (self.number, method, path, answer.status, answer.body)
                self.effects.done[method] += 1
                return answer
            self.effects.busy += 1
            time.sleep(self.random.uniform(0.01, 0.1))

    def transfer(self) -> None:
        one, two = self.random.sample(sorted(self.effects.balances), 2)
        amount = self.random.randrange(1, 50)
        new = {one: self.effects.balances[one] - amount, two: self.effects.balances[two] + amount}
        rows = [{"Name": name, "Balance": balance} for name, balance in new.items()]
        answer = self.ask("PUT", "/attributegroup/bank:Account/Name;Balance", rows)
        assert answer.json == rows
        self.effects.balances |= new

    def increment(self) -> None:
        """Count on, unless somebody else did since the counter was read."""
        [row] = self.ask("GET", "/entity/bank:Counter").json
        change = [{"RID": row["RID"], "RMT": row["RMT"], "N": row["N"] + 1}]
        self.effects.increments += len(self.ask("PUT", "/attributegroup/bank:Counter/RID,RMT;N", change).json)

    def ship(self) -> None:
        name = f"p{self.number}-{self.count}"
        self.ask("POST", "/entity/bank:Parcel", [{"Name": name}])
        self.effects.parcels[name] = False
        self.ask("POST", "/entity/bank:Item", [{"Parcel": name, "Nr": nr} for nr in range(ITEMS)])
        self.effects.parcels[name] = True

    def rename(self) -> None:
        if self.effects.parcels:
            old, new = self.random.choice(sorted(self.effects.parcels)), f"r{self.number}-{self.count}"
            self.ask("PUT", "/attributegroup/bank:Parcel/o:=Name;n:=Name", [{"o": old, "n": new}])
            self.effects.parcels[new] = self.effects.parcels.pop(old)

    def lose(self) -> None:
        if self.effects.parcels:
            name = self.random.choice(sorted(self.effects.parcels))
            self.ask("DELETE", f"/entity/bank:Parcel/Name={name}", status=204)
            del self.effects.parcels[name]

    def lease(self) -> None:
        leased = self.ask("POST", "/entity/public:ERMrest_RID_Lease", [{"ID": f"{self.number}-{self.count}"}])
        self.effects.leases.add(leased.json[0]["RID"])

    def mark(self) -> None:
        if not self.effects.leases:
            self.lease()
        rid = self.effects.leases.pop()
        self.ask("POST", "/entity/bank:Mark?nondefaults=RID", [{"RID": rid, "Tag": str(self.number)}])
        self.effects.marks.add(rid)

    def read_model(self) -> None:
        document = self.ask("GET", "/schema/bank/table/Item").json
        assert document["foreign_keys"][0]["on_delete"] == "CASCADE"
        model = self.ask("GET", "/schema").json
        assert {"Account", "Parcel", "Item", "Mark", "Counter"} <= model["schemas"]["bank"]["tables"].keys()

    def read_live(self) -> None:
        total = self.ask("GET", "/aggregate/bank:Account/s:=sum(Balance),n:=cnt(*)").json
        assert total == [{"s": START * ACCOUNTS * self.workers, "n": ACCOUNTS * self.workers}]
        groups = self.ask("GET", "/attributegroup/P:=bank:Parcel/bank:Item/P:Name;n:=cnt(Nr)").json
        assert all(group["n"] == ITEMS for group in groups)

    def snapshot(self) -> None:
        moment = self.ask("GET", "").json["snaptime"]
        self.effects.seen[moment] = look(self.ask, moment, self.workers)

    def alter(self) -> None:
        """Change the model of tables that the others are using."""
        name = f"x{self.count}"
        if len(self.extra) > 2:
            self.ask("DELETE", f"/schema/bank/table/Account/column/{self.extra.pop(0)}", status=204)
        elif self.extra and self.random.random() < 0.5:
            change = self.random.choice([{"type": {"typename": "text"}}, {"name": name}, {"comment": name}])
            self.ask("PUT", f"/schema/bank/table/Account/column/{self.extra[0]}", change)
            self.extra[0] = change.get("name", self.extra[0])
        elif self.random.random() < 0.3:
            self.ask("POST", "/schema/bank/table", table("bank", name, [column("a", "text")], []), 201)
            self.ask("DELETE", f"/schema/bank/table/{name}", status=204)
        else:
            new = column(name, "int4", default=7)
            self.ask("POST", "/schema/bank/table/Account/column", new, 201)
            self.extra.append(name)


ACTIONS: list[Callable[[Worker], None]] = [
    *[Worker.transfer] * 4,
    *[Worker.increment] * 2,
    *[Worker.ship] * 2,
    Worker.rename,
    Worker.lose,
    Worker.lease,
    Worker.mark,
    Worker.read_model,
    Worker.read_live,
    Worker.snapshot,
]


def look(ask: Callable[..., Answer], moment: str, workers: int) -> Shown:
    """What a snapshot shows, which is checked."""
    shown = {"schema": ask("GET", f"@{moment}/schema").body}
    rows: dict[str, list[dict[str, Any]]] = {}
    for name in TABLES:
        answer = ask("GET", f"@{moment}/entity/{name}@sort(RID)")
        shown[name] = answer.body
        rows[name] = answer.json
    balances = [row["Balance"] for row in rows["bank:Account"]]
    assert (len(balances), sum(balances)) == (ACCOUNTS * workers, START * ACCOUNTS * workers), moment
    items = Counter(row["Parcel"] for row in rows["bank:Item"])
    parcels = {row["Name"] for row in rows["bank:Parcel"]}
    assert items.keys() <= parcels, moment
    assert set(items.values()) <= {ITEMS}, moment
    leases = {row["RID"] for row in rows["public:ERMrest_RID_Lease"]}
    assert leases.isdisjoint(row["RID"] for row in rows["bank:Mark"]), moment
    assert len(rows["bank:Counter"]) == 1, moment
    return shown


def check_same(moment: str, one: Shown, other: Shown) -> None:
    """A snapshot shows the same at any time."""
    differing = {name: (one[name], other[name]) for name in one if one[name] != other[name]}
    assert not differing, (moment, differing)


def check_final(caller: Caller, found: list[Effects]) -> None:
    """Nothing that was acknowledged is missing, nothing else is there."""

    def rows(name: str) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = caller.send("GET", f"{CATALOG}/entity/{name}").json
        return answer

    balances = {name: balance for each in found for name, balance in each.balances.items()}
    assert {row["Name"]: row["Balance"] for row in rows("bank:Account")} == balances
    parcels = {name: full for each in found for name, full in each.parcels.items()}
    assert {row["Name"] for row in rows("bank:Parcel")} == parcels.keys()
    items = {(row["Parcel"], row["Nr"]) for row in rows("bank:Item")}
    assert items == {(name, nr) for name, full in parcels.items() if full for nr in range(ITEMS)}
    assert {row["RID"] for row in rows("bank:Mark")} == set().union(*(each.marks for each in found))
    leases = {row["RID"] for row in rows("public:ERMrest_RID_Lease")}
    assert leases == set().union(*(each.leases for each in found))
    assert [row["N"] for row in rows("bank:Counter")] == [sum(each.increments for each in found)]


def check_again(caller: Caller, found: list[Effects], workers: int) -> int:
    """Every snapshot that was handed out shows what it showed; returns how many there are."""
    seen: dict[str, Shown] = {}
    for each in found:
        for moment, shown in each.seen.items():
            check_same(moment, seen.setdefault(moment, shown), shown)

    def ask(method: str, path: str) -> Answer:
        answer = caller.send(method, CATALOG + path)
        assert answer.status == 200, answer.body
        return answer

    for moment, shown in seen.items():
        check_same(moment, shown, look(ask, moment, workers))
    return len(seen)


def work_embedded(folder: Path, address: str | None, number: int, workers: int, transactions: int) -> Effects:
    """One worker in a process of its own."""
    with opened(folder, address) as server:
        return Worker(Direct(server), number, number == 0, workers).run(transactions)


def work_http(url: str, number: int, workers: int, transactions: int) -> Effects:
    """One worker in a thread of its own."""
    return Worker(Http(url), number, number == 0, workers).run(transactions)
