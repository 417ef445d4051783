"""Ways to a service: its database, and the transport to it."""

import pytest

WAYS = [
    pytest.param(("sqlite", "call"), id="sqlite-call"),
    pytest.param(("postgres", "http"), id="postgres-http"),
    # Neither knows of the other, so that a fault which only these show would be a rare one.
    pytest.param(("sqlite", "http"), id="sqlite-http", marks=pytest.mark.soak),
    pytest.param(("postgres", "call"), id="postgres-call", marks=pytest.mark.soak),
]

OBJECT_WAYS = [
    pytest.param((database, store, transport), id=f"{database}-{store}-{transport}", marks=marks)
    for database, store, transport, marks in (
        ("sqlite", "s3", "call", ()),
        ("postgres", "files", "http", ()),
        ("sqlite", "s3", "http", pytest.mark.soak),
        ("sqlite", "files", "call", pytest.mark.soak),
        ("sqlite", "memory", "call", pytest.mark.soak),
        ("sqlite", "memory", "http", pytest.mark.soak),
    )
]
"""The same for the object service, with its store of bytes in between."""
