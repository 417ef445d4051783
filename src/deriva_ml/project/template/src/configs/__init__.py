"""What can be chosen on the command line; ``deriva-ml-run --list-configs`` lists it."""

from deriva_ml.execution import load_configs


def load_all_configs() -> list[str]:
    """Import every module of this package, so that what they store can be chosen."""
    return load_configs("configs")
