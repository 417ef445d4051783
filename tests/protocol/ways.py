"""Ways to a service: its database, and the transport to it."""

import pytest

WAYS = [
    pytest.param(("sqlite", "call"), id="sqlite-call"),
    pytest.param(("postgres", "http"), id="postgres-http"),
    # Neither knows of the other, so that a fault which only these show would be a rare one.
    pytest.param(("sqlite", "http"), id="sqlite-http", marks=pytest.mark.soak),
    pytest.param(("postgres", "call"), id="postgres-call", marks=pytest.mark.soak),
]
