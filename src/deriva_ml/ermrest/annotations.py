"""Annotations: are they as deriva-py's schemas of them say, and bring those that changed to the service."""

from __future__ import annotations

import contextlib
import logging
import warnings
from types import SimpleNamespace
from typing import Any

from deriva_ml.ermrest import library  # noqa: F401 -- deriva-py is imported through it first
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.rows import escaped
from deriva_ml.errors import DerivaMLNotFoundError

from deriva.core import annotation  # isort: skip

# What it finds is raised, with the name of the table.
logging.getLogger(annotation.__name__).setLevel(logging.CRITICAL)


def complaint(tag: str, value: Any) -> str | None:
    """Say what is wrong with the form of an annotation, None when nothing is or it has no schema.

    Parameters
    ----------
    tag : str
    value : JSON
    """
    with warnings.catch_warnings():
        # deriva-py resolves references between its schemas in the way of older versions of jsonschema.
        warnings.simplefilter("ignore", DeprecationWarning)
        found = annotation.validate(
            SimpleNamespace(annotations={tag: value}), tag, validate_model_names=False
        )
    if not found:
        return None
    error = found[0]
    while error.context:
        # Of several forms that it may have, the one that went furthest was meant.
        error = max(error.context, key=lambda each: len(each.absolute_path))
    where = "/".join(str(step) for step in error.absolute_path)
    return f"{error.message} (at {where})" if where else str(error.message)


def send(connection: Connection, element: Any, tag: str) -> None:
    """Make one annotation of an element on the service what it is here; others of the element stay."""
    path = f"{element.uri_path}/annotation/{escaped(tag)}"
    doing = f"Annotating {element.name} of {connection.name}"
    if tag in element.annotations:
        connection.put(path, json=element.annotations[tag], doing=doing)
        return
    # What is gone already need not be taken away.
    with contextlib.suppress(DerivaMLNotFoundError):
        connection.delete(path, doing=doing)
