"""Between functions and composed configurations: what Hydra runs, and configurations made of functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hydra_zen import builds, instantiate, zen


def call(function: Callable[..., Any], config: Any) -> Any:
    """Call a function with the fields of a configuration that it has parameters for, each made into what it declares."""
    return zen(function)(config)


def made(config: Any) -> Any:
    """What a part of a configuration declares."""
    return instantiate(config)


def declared(function: Callable[..., Any], hydra_defaults: Sequence[Any], fields: Mapping[str, Any]) -> Any:
    """Declare a configuration with all parameters of a function; `fields` has values that are bound already."""
    bound = {name: value for name, value in fields.items() if name == "ml_class" and value is not None}
    values = {name: value for name, value in fields.items() if name != "ml_class"}
    target = partial(function, **bound) if bound else function
    return builds(target, populate_full_signature=True, hydra_defaults=list(hydra_defaults), **values)
