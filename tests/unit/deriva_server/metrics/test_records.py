"""Files of metrics: every format, every broken ending."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deriva_server.metrics import records as reading
from deriva_server.metrics.records import Notes, kind_of, read_records
from deriva_server.metrics.summary import MOST_NAMES, collect, dump, summarise
from deriva_server.metrics.values import MOST_VALUES

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="."), min_size=1, max_size=8
)
NUMBERS = st.one_of(st.integers(-(2**62), 2**62), st.floats())
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
RECORDS = st.lists(st.dictionaries(NAMES, NUMBERS | TEXTS, min_size=1, max_size=5), max_size=8)


def read(content: bytes | str, name: str = "metrics.jsonl") -> tuple[list[dict[str, Any]], list[str]]:
    notes = Notes()
    raw = content.encode() if isinstance(content, str) else content
    return list(read_records(io.BytesIO(raw), kind_of(name), notes)), notes.all()


def same(left: Any, right: Any) -> bool:
    """Whether two readings are the same, not-a-number being itself."""
    return repr(left) == repr(right)


@settings(max_examples=40)
@given(RECORDS, st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
def test_lines_are_read_back(records: list[dict[str, Any]], end: str, closed: bool) -> None:
    text = end.join(json.dumps(record) for record in records) + (end if closed else "")
    assert same(read(text), (records, []))


@settings(max_examples=40)
@given(RECORDS, st.sampled_from([None, 1, 2]), st.booleans())
def test_documents_are_read_back(records: list[dict[str, Any]], indent: int | None, as_list: bool) -> None:
    parts = [records] if as_list else records
    text = "\n".join(json.dumps(part, indent=indent) for part in parts)
    assert same(read(text, "metrics.json"), (records, []))


@settings(max_examples=40)
@given(st.lists(st.dictionaries(NAMES, NUMBERS, min_size=2, max_size=5), min_size=1, max_size=8), st.data())
def test_a_line_that_was_cut_costs_only_itself(records: list[dict[str, Any]], data: st.DataObject) -> None:
    lines = [json.dumps(record) for record in records]
    cut = data.draw(st.integers(1, len(lines[-1]) - 1))
    found, problems = read("\n".join([*lines[:-1], lines[-1][:cut]]))
    assert same(found, records[:-1])
    assert problems


@settings(max_examples=40)
@given(st.binary(max_size=300), st.sampled_from(["m.jsonl", "m.csv", "m.tsv", "m.yaml", "m.txt"]))
def test_any_bytes_are_read_without_error(content: bytes, name: str) -> None:
    summary, values = collect(io.BytesIO(content), kind_of(name))
    assert len(values) == len(summary.names) == len(summary.last)
    assert same(summary, summarise(io.BytesIO(content), kind_of(name)))
    assert all(len(column) == summary.records for column in values)
    json.loads(dump(summary.document()), parse_constant=lambda text: pytest.fail(text))


@settings(max_examples=40)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8),
    st.sampled_from([("csv", ","), ("csv", ";"), ("tsv", "\t"), ("txt", ",")]),
)
def test_tables_are_read_back(rows: list[tuple[float, float]], form: tuple[str, str]) -> None:
    ending, delimiter = form
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([("epoch", "loss"), *rows])
    found, problems = read(text.getvalue(), f"metrics.{ending}")
    values = [tuple(map(float, record.values())) for record in found]
    assert same(values, [(float(left), float(right)) for left, right in rows])
    assert not problems


@settings(max_examples=40)
@given(RECORDS.filter(bool))
def test_summaries_are_of_the_records(records: list[dict[str, Any]]) -> None:
    summary = summarise(io.BytesIO("\n".join(map(json.dumps, records)).encode()), "")
    for place, name in enumerate(summary.names):
        values = [record[name] for record in records if name in record]
        numbers = [value for value in values if not isinstance(value, str) and value == value]
        assert same(summary.last[place], values[-1])
        assert summary.lowest[place] == (min(numbers) if numbers else None)
        assert summary.highest[place] == (max(numbers) if numbers else None)
    assert set(summary.names) == set().union(*records)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_are_known_by_their_mark(encoding: str) -> None:
    assert read('{"läss": 1}\n{"läss": 2}\n'.encode(encoding)) == ([{"läss": 1}, {"läss": 2}], [])


def test_nested_objects_get_names_with_dots() -> None:
    found, problems = read('{"val": {"loss": 0.5, "by": {"A": 1}}, "ok": true, "none": null, "all": [1, 2]}')
    assert found == [{"val.loss": 0.5, "val.by.A": 1, "ok": 1}]
    assert problems == ["lists are no metrics and were left out: all"]


def test_python_writes_numbers_that_json_does_not_know() -> None:
    found, problems = read('{"a": NaN, "b": Infinity, "c": -Infinity, "d": ' + "9" * 400 + "}\n")
    assert math.isnan(found[0].pop("a"))
    assert found == [{"b": math.inf, "c": -math.inf, "d": math.inf}]
    assert not problems


def test_halves_of_pairs_and_zeros_do_not_reach_databases() -> None:
    assert read(r'{"\ud800a": "x\udfff\u0000"}')[0] == [{"?a": "x?\ufffd"}]


@pytest.mark.parametrize(
    ("content", "name", "records", "problem"),
    [
        ('{"a": 1}\n{"a": 2}\n{"a', "m.jsonl", 2, "line 3, the last, is not complete"),
        ('{"a": 1}\n{"a": 2{"a": 3}\n{"a": 4}\n', "m.jsonl", 2, "line 2 is no JSON"),
        ('{"a": 1\n{"a": 2}\n', "m.jsonl", 1, "line 1 is no JSON"),
        ('{"a": 1}\n[2]\n3\n', "m.jsonl", 1, "line 2 is or holds something that is no object"),
        ('{\n "a": 1\n}\n{\n "a"', "m.json", 1, "what follows document 1 is no JSON, or not complete"),
        ("a,b\n1,2\n3", "m.csv", 1, "line 3, the last, is not complete"),
        ("a,b\n1,2,3\n4,5\n", "m.csv", 1, "line 2 has 3 cells, the header 2"),
        ("1,2\n3,4\n", "m.csv", 0, "the first line has numbers only"),
        ("a: [1\nb: 2", "m.yaml", 0, "document 1 is no YAML"),
        ("Epoch 1 is done", "train.log", 0, "neither JSON, nor CSV"),
        ("[" * 100_000, "m.json", 0, "line 1, the last, is not complete"),
        ('{"a": ' * 100 + "1" + "}" * 100, "m.json", 0, "it is nested more than 50 times"),
    ],
)
def test_what_cannot_be_read_is_skipped_and_named(
    content: str, name: str, records: int, problem: str
) -> None:
    found, problems = read(content, name)
    assert len(found) == records
    assert any(problem in told for told in problems), problems


def test_of_many_problems_some_are_told() -> None:
    found, problems = read('{"a": 1}\n' + "x\n" * 50)
    assert len(found) == 1
    assert len(problems) == 11
    assert problems[-1] == "40 more problems like these"


def test_yaml_is_read_where_the_name_says_so() -> None:
    content = yaml.safe_dump_all([{"loss": 0.5, "day": "2026-01-02"}, {"val": {"loss": 0.25}}])
    assert read(content, "m.YML") == ([{"loss": 0.5, "day": "2026-01-02"}, {"val.loss": 0.25}], [])
    assert read("- {a: 1}\n- {a: 2}\n", "m.yaml")[0] == [{"a": 1}, {"a": 2}]


def test_documents_that_repeat_themselves_are_no_trap() -> None:
    lines = ["a0: &a0 {x: 1, y: 2}", *(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 40))]
    found, problems = read("\n".join(lines), "m.yaml")
    assert not found
    assert f"{MOST_VALUES:,} values" in problems[0]


def test_metrics_of_one_file_are_bounded() -> None:
    content = "\n".join(json.dumps({f"m{n}": n}) for n in range(MOST_NAMES + 5))
    summary = summarise(io.BytesIO(content.encode()), "")
    assert len(summary.names) == MOST_NAMES
    assert summary.records == MOST_NAMES + 5
    assert "more than 2,000 metrics" in summary.problems[0]


def test_long_lines_and_documents_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_DOCUMENT", 100)
    long = json.dumps({"a": "x" * 500})
    assert read(f'{{"a": 1}}\n{long}\n{{"a": 2}}\n') == (
        [{"a": 1}, {"a": 2}],
        ["line 2 is longer than 100 characters"],
    )
    assert "write JSON lines" in read(json.dumps([{"a": n} for n in range(90)], indent=1), "m.json")[1][0]
    assert "write JSON lines" in read("a: 1\n" * 90, "m.yaml")[1][0]


class Counting(io.RawIOBase):
    """A long file of which is known how much was read."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self.taken += size
        return (b'{"a": 1}\n' * (size // 9 + 1))[: size // 9 * 9]


def test_lines_are_read_as_they_are_needed() -> None:
    source = Counting()
    found = read_records(source, "", Notes())  # type: ignore[arg-type]
    assert [next(found) for _ in range(10)] == [{"a": 1}] * 10
    assert source.taken < 1 << 20
    found.close()
