"""Changes the pure rules one small step at a time, and lists the changes that no test notices; `make mutants` runs it.

A change that is listed wants a test, or shows code that is not needed; some change nothing that can be seen.
"""

import functools
import gc
import os
import sys

from mutmut.__main__ import cli


def _afresh():
    """What was kept of answers of the code as it was would hide what the change does; and no failure has to be small."""
    gc.unfreeze()
    for kept in gc.get_objects():
        if isinstance(kept, functools._lru_cache_wrapper):
            kept.cache_clear()
    import hypothesis

    fast = {"deadline": None, "database": None, "derandomize": True, "max_examples": 60}
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", **fast, phases=phases)
    hypothesis.settings.load_profile("mutants")


def main():
    # On its way to a function that may be changed, every call passes two others.
    sys.setrecursionlimit(10 * sys.getrecursionlimit())
    os.register_at_fork(after_in_child=_afresh)
    # Each change is tried in a process of its own, one at a time.
    cli(["run", "--max-children", "1", *sys.argv[1:]], standalone_mode=False)
    cli(["results"], standalone_mode=False)


if __name__ == "__main__":
    main()
