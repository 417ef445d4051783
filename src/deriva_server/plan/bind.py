"""From a URL tree to its meaning in a model: names resolved, literals typed, ambiguities refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

from deriva_server.errors import BadRequest, Conflict
from deriva_server.grammar import nodes
from deriva_server.grammar.nodes import WILDCARD, DataPath, QName
from deriva_server.grammar.parse import RIGHTS
from deriva_server.model.check import require_column
from deriva_server.model.elements import Column, Model, Table, Type
from deriva_server.model.types import TYPES
from deriva_server.model.values import Stored, load, text_reader
from deriva_server.names import normal_rid
from deriva_server.operators import PATTERNS, REFUSED, written
from deriva_server.plan import relation as r
from deriva_server.plan.links import between, by_columns, find_table
from deriva_server.plan.patterns import check_pattern

_T = TypeVar("_T")
_MOST_TERMS = 800
_MOST_SORT_KEYS = 60
_MOST_TABLES = 60
_JSON_LIKE = frozenset(("json", "jsonb"))
_ORDERED = r.NUMBERS | {"text", "date", "timestamp", "timestamptz", "time", "timetz"}
_BINNED = r.NUMBERS | {"date", "timestamp", "timestamptz"}
_MALFORMED_400 = r.NUMBERS | _JSON_LIKE


class Scope:
    """Table instances joined so far, their aliases and the context.

    Parameters
    ----------
    model : Model
        What the caller can see.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.tables: list[Table] = []
        self.links: list[r.Link] = []
        self.where: list[r.Predicate] = []
        self.aliases: dict[str, int] = {}
        self.context = 0

    def add(self, table: Table, alias: str | None) -> int:
        """Append an instance and make it the context."""
        if len(self.tables) >= _MOST_TABLES:
            raise BadRequest(f"A path has at most {_MOST_TABLES} tables.")
        self.tables.append(table)
        self.context = len(self.tables) - 1
        if alias is not None:
            if alias in self.aliases:
                raise BadRequest(f'Alias "{alias}" is bound twice.')
            self.aliases[alias] = self.context
        return self.context

    def joined(self) -> r.Joined:
        """The result."""
        return r.Joined(tuple(self.tables), tuple(self.links), tuple(self.where), self.context)

    def instance_of(self, name: QName, unbound: type[BadRequest] | type[Conflict]) -> tuple[int, str]:
        """Table instance and column name (maybe the wildcard) that a name means."""
        if len(name.parts) == 1:
            return self.context, name.parts[0]
        if len(name.parts) == 2 and name.parts[0] in self.aliases:
            return self.aliases[name.parts[0]], name.parts[1]
        raise unbound(f'"{name}" does not start with an alias of the path.')


def bind_path(model: Model, path: nodes.Path) -> r.Joined:
    """Resolve the path of a request.

    Parameters
    ----------
    model : Model
        What the caller can see.
    path : nodes.Path
        Tables, links and filters.

    Raises
    ------
    Conflict
        For names that do not exist or links that are not exactly one.
    BadRequest
        For misuse of aliases and literals.
    """
    return _scope(model, path).joined()


def bind(model: Model, request: DataPath, limit: int | None = None) -> r.Query:
    """Resolve a whole data request.

    Parameters
    ----------
    model : Model
        What the caller can see.
    request : DataPath
        The parsed URL.
    limit : int or None, optional
        Most rows to return.

    Raises
    ------
    Conflict, BadRequest
        As the names, types and literals demand.
    """
    scope = _scope(model, request.path)
    if request.api == "entity":
        table = scope.tables[scope.context]
        outputs = [r.Output(column.name, r.Value(scope.context, column)) for column in table.columns]
        keys = 0
    else:
        if request.api == "aggregate":
            keyed: list[r.Output] = []
        else:
            keyed = [output for item in request.columns for output in _outputs(scope, item)]
        grouped = request.api != "attribute"
        leaves = [output for item in request.leaves for output in _outputs(scope, item, grouped=grouped)]
        if request.api == "aggregate" and not all(
            isinstance(leaf.expression, r.Aggregated) for leaf in leaves
        ):
            raise BadRequest("Every output of an aggregate request must be an aggregate.")
        if request.api == "attributegroup":
            leaves = [_exemplary(leaf) for leaf in leaves]
        outputs, keys = keyed + leaves, len(keyed)
    names = [output.name for output in outputs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f'Two outputs have the name "{twice}".')
    order = _order(request, outputs)
    if request.before is not None and request.after is None and limit is None:
        raise BadRequest("@before(..) needs a limit.")
    return r.Query(
        request.api,
        scope.joined(),
        tuple(outputs),
        keys,
        order,
        _page(request.before, order, outputs),
        _page(request.after, order, outputs),
        limit,
    )


def _scope(model: Model, path: nodes.Path) -> Scope:
    scope = Scope(model)
    scope.add(find_table(model, path.table), None)
    for alias in path.aliases:
        if alias in scope.aliases:
            raise BadRequest(f'Alias "{alias}" is bound twice.')
        scope.aliases[alias] = 0
    for step in path.steps:
        _step(scope, step)
    return scope


def _step(scope: Scope, step: nodes.Step) -> None:
    if isinstance(step, nodes.Where):
        scope.where.append(_predicate(scope, step.filter))
    elif isinstance(step, nodes.Reset):
        if step.alias not in scope.aliases:
            raise BadRequest(f'Alias "{step.alias}" is not bound in the path.')
        scope.context = scope.aliases[step.alias]
    elif isinstance(step, nodes.TableLink):
        left, table = scope.context, find_table(scope.model, step.table)
        pairs = between(scope.tables[left], table)
        scope.links.append(r.Link("inner", left, scope.add(table, step.alias), pairs))
    else:
        left, table, one = by_columns(scope.model, scope.context, scope.tables, scope.aliases, step)
        scope.links.append(r.Link(step.outer or "inner", left, scope.add(table, step.alias), (one,)))


def _predicate(scope: Scope, filter_: nodes.Filter) -> r.Predicate:
    if isinstance(filter_, nodes.Group):
        return _predicate(scope, filter_.inner)
    if isinstance(filter_, nodes.Not):
        return r.Negation(_predicate(scope, filter_.inner))
    if isinstance(filter_, nodes.And):
        return r.AllOf(_few([_predicate(scope, term) for term in filter_.terms]))
    if isinstance(filter_, nodes.Or):
        return _any_of([_predicate(scope, term) for term in filter_.terms])
    instance, name = scope.instance_of(filter_.column, Conflict)
    table = scope.tables[instance]
    is_free_text = name == WILDCARD and WILDCARD not in table.column_by_name
    if isinstance(filter_, nodes.Null):
        if is_free_text:
            raise BadRequest("The wildcard column cannot be tested for null.")
        return r.IsNull(instance, require_column(table, name))
    if instead := REFUSED.get(filter_.operator):
        raise BadRequest(
            f"The operator {written(filter_.operator)} is not supported; use {written(instead)}."
        )
    every = filter_.quantifier == "all"
    if every or filter_.operator != "=":
        _few(filter_.values)
    if pattern := PATTERNS.get(filter_.operator):
        columns = table.columns if is_free_text else (require_column(table, name),)
        patterns = tuple(check_pattern(pattern.of(text)) for text in filter_.values)
        return r.Match(instance, columns, patterns, pattern.ignore_case, every)
    if is_free_text:
        raise BadRequest(f"The wildcard column does not know the operator {filter_.operator}.")
    return _comparison(instance, require_column(table, name), filter_, every)


def _any_of(terms: list[r.Predicate]) -> r.Predicate:
    """OR; equalities of one column become one comparison with many values."""
    merged: list[r.Predicate] = []
    places: dict[tuple[int, str], int] = {}
    for term in terms:
        is_plain = (
            isinstance(term, r.Compare) and term.operator == "=" and not (term.every and len(term.values) > 1)
        )
        if not (isinstance(term, r.Compare) and is_plain):
            merged.append(term)
            continue
        place = (term.instance, term.column.name)
        if place in places:
            before = merged[places[place]]
            assert isinstance(before, r.Compare)
            merged[places[place]] = r.Compare(term.instance, term.column, "=", before.values + term.values)
        else:
            places[place] = len(merged)
            merged.append(r.Compare(term.instance, term.column, "=", term.values))
    return merged[0] if len(merged) == 1 else r.AnyOf(_few(merged))


def _few(terms: Sequence[_T]) -> tuple[_T, ...]:
    if len(terms) > _MOST_TERMS:
        raise BadRequest(
            f"A predicate has at most {_MOST_TERMS} terms; use column=any(..) for a list of values."
        )
    return tuple(terms)


def _comparison(instance: int, column: Column, filter_: nodes.Comparison, every: bool) -> r.Predicate:
    type_ = column.type.base if column.type.is_array and column.type.base is not None else column.type
    values = tuple(_literal(type_, text) for text in filter_.values)
    if column.name != "RID" or column.type.is_array or filter_.operator != "=":
        return r.Compare(instance, column, filter_.operator, values, every)
    if every:
        spellings = (tuple({text, normal_rid(text)}) for text in filter_.values)
        return r.AllOf(tuple(r.Compare(instance, column, "=", either) for either in spellings))
    either = tuple(dict.fromkeys(form for text in filter_.values for form in (text, normal_rid(text))))
    return r.Compare(instance, column, "=", either)


def _literal(type_: Type, text: str) -> Stored:
    """Type a literal: numbers and JSON fail as malformed, what a database would refuse as a conflict."""
    try:
        return text_reader(type_)(text)
    except BadRequest as error:
        if type_.scalar in _MALFORMED_400:
            raise
        raise Conflict(error.detail) from error


def _outputs(scope: Scope, item: nodes.Item, *, grouped: bool = False) -> list[r.Output]:
    expression = item.expression
    if isinstance(expression, nodes.Bin):
        if item.alias is None:
            raise BadRequest(f"{expression} needs a name, as in name:={expression}.")
        return [r.Output(item.alias, _binned(scope, expression))]
    if isinstance(expression, nodes.Call):
        if not grouped:
            raise BadRequest(f"{expression} is not allowed here.")
        if item.alias is None:
            raise BadRequest(f"{expression} needs a name, as in name:={expression}.")
        return [r.Output(item.alias, _called(scope, expression))]
    instance, name = scope.instance_of(expression, BadRequest)
    table = scope.tables[instance]
    if name == WILDCARD and WILDCARD not in table.column_by_name:
        if item.alias is not None:
            raise BadRequest("A wildcard cannot be renamed.")
        prefix = f"{expression.parts[0]}:" if len(expression.parts) == 2 else ""
        return [r.Output(prefix + column.name, r.Value(instance, column)) for column in table.columns]
    return [r.Output(item.alias or name, r.Value(instance, require_column(table, name)))]


def _called(scope: Scope, call: nodes.Call) -> r.Expression:
    instance, name = scope.instance_of(call.column, BadRequest)
    table = scope.tables[instance]
    if call.function in RIGHTS:
        if name != "RID":
            raise Conflict(f"{call.function}(..) takes a RID column.")
        return r.RowRights(instance, require_column(table, name), call.function == "tcrs")
    if name == WILDCARD and WILDCARD not in table.column_by_name:
        if call.function not in ("cnt", "array", "array_d"):
            raise BadRequest(f"{call.function}(..) does not take a wildcard.")
        return r.Aggregated(call.function, instance, None, table.columns if call.function != "cnt" else ())
    column = require_column(table, name)
    scalar = column.type.scalar
    allowed = {"min": _ORDERED, "max": _ORDERED, "sum": r.NUMBERS, "avg": r.NUMBERS}.get(call.function)
    if allowed is not None and (
        scalar not in allowed or (column.type.is_array and call.function not in ("min", "max"))
    ):
        raise Conflict(f'{call.function}(..) does not take a column of type {column.type.name}: "{name}".')
    return r.Aggregated(call.function, instance, column)


def _binned(scope: Scope, bin_: nodes.Bin) -> r.Binned:
    instance, name = scope.instance_of(bin_.column, BadRequest)
    table = scope.tables[instance]
    if name == WILDCARD and WILDCARD not in table.column_by_name:
        raise BadRequest("A wildcard cannot be binned.")
    column = require_column(table, name)
    if column.type.is_array or column.type.scalar not in _BINNED:
        raise Conflict(f'Column "{name}" of type {column.type.name} cannot be binned.')
    if not bin_.count.isdecimal() or not 0 < int(bin_.count) < 1 << 31:
        raise BadRequest(f"The number of bins must be a positive integer, not {bin_.count!r}.")
    type_ = TYPES["numeric"] if column.type.scalar in r.NUMBERS else column.type
    low, high = _literal(type_, bin_.low), _literal(type_, bin_.high)
    if type_.scalar == "numeric" and not (_has_double(low) and _has_double(high)):
        raise Conflict("The bounds of bins must be finite numbers within the range of float8.")
    return r.Binned(instance, column, int(bin_.count), low, high)


def _has_double(number: Stored) -> bool:
    """Whether a decimal neither exceeds nor vanishes in double precision."""
    near = float(number or 0)
    return math.isfinite(near) and (near != 0 or not Decimal(number or 0))


def _exemplary(output: r.Output) -> r.Output:
    """Outside the group keys a plain column stands for any one of its values."""
    expression = output.expression
    if isinstance(expression, r.Value):
        return r.Output(output.name, r.Aggregated("any", expression.instance, expression.column))
    return output


def _order(request: DataPath, outputs: Sequence[r.Output]) -> tuple[r.Order, ...]:
    if request.sort and request.api == "aggregate":
        raise BadRequest("An aggregate request has one row and cannot be sorted.")
    if len(request.sort) > _MOST_SORT_KEYS:
        raise BadRequest(f"Rows can be sorted by at most {_MOST_SORT_KEYS} keys.")
    index = {output.name: at for at, output in enumerate(outputs)}
    order = []
    for key in request.sort:
        if key.name not in index:
            wrong = Conflict if request.api == "entity" else BadRequest
            raise wrong(f'Sort key "{key.name}" is not an output.')
        order.append(r.Order(index[key.name], key.descending))
    return tuple(order)


def _page(
    values: tuple[str | None, ...] | None, order: tuple[r.Order, ...], outputs: Sequence[r.Output]
) -> tuple[Stored, ...] | None:
    if values is None:
        return None
    page: list[Stored] = []
    for text, key in zip(values, order, strict=True):
        expression = outputs[key.output].expression
        if text is None:
            page.append(None)
        elif isinstance(expression, r.Binned):
            document = load(text)
            number = document[0] if isinstance(document, list) and document else document
            if number is not None and not isinstance(number, int):
                raise BadRequest(f"Not a bin: {text!r}.")
            page.append(number)
        else:
            page.append(_literal(expression.type, text))
    return tuple(page)
