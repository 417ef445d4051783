"""Send the steps of protocol cases and compare the answers; `cases_files` describes them."""

from __future__ import annotations

import itertools
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

    def send(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, *, sized: bool = True
    ) -> Answer:
        """Send one request with its target as it is; one that is not `sized` does not tell its length."""


class Runner:
    """Sends steps and compares the answers.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    base : str
        What the name of the base stands for; targets that are not absolute continue it.
    """

    def __init__(self, transport: Transport, base: str) -> None:
        self._transport = transport
        self._base = base

    def step(self, step: dict[str, Any], saved: dict[str, Any]) -> None:
        """Send one step; what it saves is added to `saved`."""
        step = _filled({key: value for key, value in step.items() if key != "save"}, saved) | {
            "save": step.get("save", {})
        }
        method, _, target = step["request"].partition(" ")
        target = target[1:] if target.startswith("//") else f"{saved[self._base]}{target}"
        headers, body = _message(step)
        sized = headers.get("Content-Length", "") is not None
        sent = {name: value for name, value in headers.items() if value is not None}
        answer = self._transport.send(method, target, sent, body, sized=sized)
        said = (
            f"{method} {target}\n-> {answer.status} {answer.headers}\n{answer.body.decode(errors='replace')}"
        )
        try:
            _compare(step, answer)
            self._judge(method, target, sent, answer)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{said}") from error
        for name, where in step["save"].items():
            saved[name] = _part(answer, where)

    def _judge(self, method: str, target: str, headers: dict[str, str], answer: Answer) -> None:
        """Compare an answer with what holds for every one of its kind."""


class CatalogRunner(Runner):
    """Sends steps to one catalog.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    case_file : CaseFile
        Its set-up is sent at once.
    """

    def __init__(self, transport: Transport, case_file: CaseFile) -> None:
        super().__init__(transport, "base")
        self._file = case_file
        answer = transport.send("POST", "/ermrest/catalog", {}, b"{}")
        assert answer.status == 201, answer
        base = answer.headers["location"]
        self._saved: dict[str, Any] = {"base": base, "catalog": answer.json["id"]}
        for step in case_file.setup:
            self.step(step, self._saved)

    def run(self, case: Case) -> None:
        """Send the steps of a case; values it saves are forgotten after it."""
        for table in self._file.clean:
            answer = self._transport.send("DELETE", f"{self._saved['base']}/entity/{table}", {}, None)
            assert answer.status in (204, 404), answer
        saved = dict(self._saved)
        for step in case.steps:
            self.step(step, saved)

    def discard(self) -> None:
        """Delete the catalog, unless the case has done so."""
        answer = self._transport.send("DELETE", self._saved["base"], {}, None)
        assert answer.status in (204, 404), answer


_SPACES = itertools.count(1)
_SAME_FOR_HEAD = (
    "content-type",
    "content-length",
    "content-md5",
    "content-disposition",
    "content-location",
    "etag",
    "vary",
)


class SpaceRunner(Runner):
    """Sends steps of the object service, each case in a namespace of its own; those that only read share one."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, "ns")
        self._read: dict[str, dict[str, Any]] = {}

    def run(self, case_file: CaseFile, case: Case) -> None:
        """Make a namespace, and send the steps of the file and of the case there."""
        if all(step["request"].startswith(("GET", "HEAD")) for step in case.steps):
            if case_file.name not in self._read:
                self._read[case_file.name] = self._prepared(case_file)
            saved = dict(self._read[case_file.name])
        else:
            saved = self._prepared(case_file)
        for step in case.steps:
            self.step(step, saved)

    def _prepared(self, case_file: CaseFile) -> dict[str, Any]:
        place = f"/c{next(_SPACES)}"
        saved: dict[str, Any] = {"ns": f"/hatrac{place}", "place": place}
        headers = {"Content-Type": "application/x-hatrac-namespace"}
        answer = self._transport.send("PUT", saved["ns"], headers, None)
        assert answer.status == 201, answer
        for step in case_file.setup:
            self.step(step, saved)
        return saved

    def _judge(self, method: str, target: str, headers: dict[str, str], answer: Answer) -> None:
        kind = answer.headers.get("content-type")
        if answer.status == 201:
            first = answer.body.decode().partition("\n")[0]
            assert kind == "text/uri-list" and answer.body.endswith(b"\n"), "not a list of what was made"
            assert answer.headers["location"] == first, "Location is not what was made"
        if answer.status in (204, 304) or method == "HEAD":
            assert answer.body == b"", "there is a body"
        elif answer.status >= 400:
            assert kind in ("text/plain", "text/html"), "an error is told as text"
            assert kind == "text/plain" or "html" in headers.get("Accept", ""), "nobody asked for HTML"
            assert answer.body.endswith(b"\n") and len(answer.body) > 1, "an error tells nothing"
        if method == "GET" and "Range" not in headers:
            head = self._transport.send("HEAD", target, headers, None)
            assert (head.status, head.body) == (answer.status, b""), f"HEAD answers {head}"
            for name in _SAME_FOR_HEAD if answer.status < 400 else ():
                assert head.headers.get(name) == answer.headers.get(name), f"HEAD has {head.headers}"


def _message(step: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    headers = {CALLER: step.get("as", "owner"), **step.get("headers", {})}
    if "body" not in step and "text_body" not in step:
        return headers, None
    headers.setdefault("Content-Type", "application/json")
    text = step["text_body"] if "text_body" in step else json.dumps(step["body"], ensure_ascii=False)
    return headers, text if isinstance(text, bytes) else text.encode()


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
    if "bytes" in step:
        assert step["bytes"] == answer.body, f"the body is {answer.body!r}, not {step['bytes']!r}"
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
