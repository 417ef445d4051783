"""A package, so that child processes import these tests and not another distribution's `tests`."""
