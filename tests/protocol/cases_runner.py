"""Send the steps of protocol cases and compare the answers; `cases_files` describes them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Protocol

from .cases_files import Anything, Case, CaseFile, Pattern

CALLER = "X-Test-Caller"
"""Header that tells the server of the tests who sends a request."""


@dataclass(frozen=True)
class Answer:
    """A response, read; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Transport(Protocol):
    """A way to the server."""

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answer:
        """Send one request with its target as it is."""


class Runner:
    """Sends steps to one catalog and compares the answers.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    case_file : CaseFile
        Its set-up is sent at once.
    """

    def __init__(self, transport: Transport, case_file: CaseFile) -> None:
        self._transport = transport
        self._file = case_file
        answer = transport.send("POST", "/ermrest/catalog", {}, b"{}")
        assert answer.status == 201, answer
        base = answer.headers["location"]
        self._saved: dict[str, Any] = {"base": base, "catalog": answer.json["id"]}
        for step in case_file.setup:
            self._step(step, self._saved)

    def run(self, case: Case) -> None:
        """Send the steps of a case; values it saves are forgotten after it."""
        for table in self._file.clean:
            answer = self._transport.send("DELETE", f"{self._saved['base']}/entity/{table}", {}, None)
            assert answer.status in (204, 404), answer
        saved = dict(self._saved)
        for step in case.steps:
            self._step(step, saved)

    def discard(self) -> None:
        """Delete the catalog, unless the case has done so."""
        answer = self._transport.send("DELETE", self._saved["base"], {}, None)
        assert answer.status in (204, 404), answer

    def _step(self, step: dict[str, Any], saved: dict[str, Any]) -> None:
        step = _filled({key: value for key, value in step.items() if key != "save"}, saved) | {
            "save": step.get("save", {})
        }
        method, _, target = step["request"].partition(" ")
        headers = {CALLER: step.get("as", "owner"), **step.get("headers", {})}
        body = None
        if "body" in step or "text_body" in step:
            text = step["text_body"] if "text_body" in step else json.dumps(step["body"], ensure_ascii=False)
            body = text.encode()
            headers.setdefault("Content-Type", "application/json")
        headers = {name: value for name, value in headers.items() if value is not None}
        target = target[1:] if target.startswith("//") else f"{saved['base']}{target}"
        answer = self._transport.send(method, target, headers, body)
        said = (
            f"{method} {target}\n-> {answer.status} {answer.headers}\n{answer.body.decode(errors='replace')}"
        )
        try:
            _compare(step, answer)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{said}") from error
        for name, where in step["save"].items():
            saved[name] = _part(answer, where)


def _filled(value: Any, saved: dict[str, Any]) -> Any:
    if isinstance(value, str):
        if whole := re.fullmatch(r"\$\{(\w+)\}", value):
            return saved[whole.group(1)]
        return re.sub(r"\$\{(\w+)\}", lambda match: str(saved[match.group(1)]), value)
    if isinstance(value, dict):
        return {_filled(key, saved): _filled(item, saved) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, saved) for item in value]
    if isinstance(value, Pattern):
        return Pattern(_filled(value.pattern, {name: re.escape(str(item)) for name, item in saved.items()}))
    return value


def _part(answer: Answer, where: str) -> Any:
    if where.startswith("header:"):
        return answer.headers[where.removeprefix("header:").lower()]
    if where == "tag":
        return answer.headers["etag"].strip('"')
    value = answer.json
    for at, name in re.findall(r"\[(-?\d+)\]|([^.\[\]]+)", where):
        value = value[int(at)] if at else value[name]
    return value


def _compare(step: dict[str, Any], answer: Answer) -> None:
    allowed = step.get("status", 200)
    assert answer.status in (allowed if isinstance(allowed, list) else [allowed]), f"status is not {allowed}"
    if "type" in step:
        assert answer.headers.get("content-type") == step["type"], f"type is not {step['type']}"
    for name, value in step.get("response_headers", {}).items():
        found = answer.headers.get(name.lower())
        assert value == found, f"header {name} is {found!r}, not {value!r}"
    _compare_json(step, answer)
    _compare_text(step, answer)


def _compare_json(step: dict[str, Any], answer: Answer) -> None:
    is_unordered = step.get("unordered", False)
    if "json" in step:
        _match(step["json"], answer.json, is_unordered=is_unordered, is_part=False)
    if "has" in step:
        _match(step["has"], answer.json, is_unordered=is_unordered, is_part=True)
    for name, values in step.get("column", {}).items():
        _match(values, [row[name] for row in answer.json], is_unordered=is_unordered, is_part=False)
    if "names" in step:
        for row in answer.json:
            assert list(row) == step["names"], f"members are {list(row)}, not {step['names']}"
    if "count" in step:
        assert len(answer.json) == step["count"], f"{len(answer.json)} rows, not {step['count']}"


def _compare_text(step: dict[str, Any], answer: Answer) -> None:
    text = answer.body.decode() if set(step) & {"text", "contains", "lacks", "matches"} else ""
    if "text" in step:
        assert step["text"] == text, f"text is {text!r}, not {step['text']!r}"
    for part in _listed(step.get("contains", [])):
        assert part in text, f"{part!r} is not in the text"
    for part in _listed(step.get("lacks", [])):
        assert part not in text, f"{part!r} is in the text"
    for pattern in _listed(step.get("matches", [])):
        assert re.search(pattern, text), f"{pattern!r} does not match the text"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _match(wanted: Any, found: Any, *, is_unordered: bool, is_part: bool) -> None:
    if is_unordered and isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        rest = list(found)
        for item in wanted:
            at = next(
                (at for at, other in enumerate(rest) if _difference(item, other, is_part) is None), None
            )
            assert at is not None, f"{item!r} is not among {rest!r}"
            del rest[at]
        return
    difference = _difference(wanted, found, is_part)
    assert difference is None, difference


def _difference(wanted: Any, found: Any, is_part: bool, place: str = "body") -> str | None:
    """Where and how two values differ, None when they do not."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        if (is_part and not set(wanted) <= set(found)) or (not is_part and set(wanted) != set(found)):
            return f"{place} has members {sorted(found)}, not {sorted(wanted)}"
        pairs = [(wanted[name], found[name], f"{place}.{name}") for name in wanted]
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            return f"{place} has {len(found)} items, not {len(wanted)}: {found!r}"
        pairs = [(*both, f"{place}[{at}]") for at, both in enumerate(zip(wanted, found, strict=True))]
    elif isinstance(wanted, bool) or isinstance(found, bool):
        return (
            None
            if wanted is found or isinstance(wanted, Anything)
            else f"{place} is {found!r}, not {wanted!r}"
        )
    else:
        return None if wanted == found else f"{place} is {found!r}, not {wanted!r}"
    return next((text for pair in pairs if (text := _difference(pair[0], pair[1], is_part, pair[2]))), None)
