"""Errors cross processes: pools, workers of a sweep and of a trainer send them back."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from deriva_ml import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.DerivaMLException)
]


def example(kind: Any) -> Any:
    """An error of a kind, of as many arguments as it asks for."""
    count = 0
    if kind.__init__ is not errors.DerivaMLException.__init__:
        parameters = inspect.signature(kind).parameters.values()
        count = sum(parameter.default is parameter.empty for parameter in parameters)
    return kind(*["thing"] * count) if count else kind("What happened.")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_whole_out_of_another_process(kind: Any) -> None:
    error = example(kind)
    error.add_note("while it ran")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
    assert str(again)
