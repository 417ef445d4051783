"""Named sweeps, under their known import path.

The package exports a function of this module's name, and importing a module puts it in the place of that name: so this
module can be called, too.
"""

import sys
from types import ModuleType
from typing import Any

from deriva_ml.configs import registry
from deriva_ml.reexport import from_stub

__getattr__, __dir__, __all__ = from_stub(__name__, __file__)


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> registry.MultirunSpec:
        """As `deriva_ml.configs.registry.multirun_config`."""
        return registry.multirun_config(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
