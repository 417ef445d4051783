"""Examples drawn at random, the same for the same number."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings


def drawn(number: int, count: int) -> Callable[[Any], Any]:
    """Run a test with so many examples; what fails is not made smaller, because the server has changed by then."""

    def decorate(test: Any) -> Any:
        wanted = settings(
            max_examples=count,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        return seed(number)(wanted(test))

    return decorate
