"""Let Hydra compose a run once.

Before it runs anything, Hydra composes the whole configuration to read ``hydra.mode`` from it, and then composes it
again. Here a sweep that was asked for is one without looking, and what a run was composed of is kept for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra._internal import hydra as program
from hydra.core.utils import configure_log
from hydra.types import RunMode

from deriva_ml.configs import hints


class _Once(program.Hydra):
    """Hydra, which remembers what it composed to find its mode."""

    is_sweep = False
    _kept: tuple[str | None, list[str], Any] | None = None

    def get_mode(self, config_name: str | None, overrides: list[str]) -> Any:
        if self.is_sweep:
            return None
        try:
            config = super().compose_config(config_name, overrides, RunMode.RUN)
        except hints.COMPOSING:
            # A sweep that a configuration asks for cannot be composed as a run; what is wrong is said where it runs.
            return super().get_mode(config_name, overrides)
        mode, chosen = config.hydra.mode, list(overrides)
        if mode is None:
            chosen.append(f"hydra.mode={RunMode.RUN.name}")
            config.hydra.mode = RunMode.RUN
            config.hydra.overrides.hydra.append(chosen[-1])
        self._kept = config_name, chosen, config
        return mode

    def compose_config(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        with_log_configuration: bool = False,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> Any:
        kept, self._kept = self._kept, None
        if kept is None or run_mode is not RunMode.RUN or kept[:2] != (config_name, overrides):
            return super().compose_config(
                config_name, overrides, run_mode, with_log_configuration, from_shell, validate_sweep_overrides
            )
        if with_log_configuration:
            configure_log(kept[2].hydra.hydra_logging, kept[2].hydra.verbose)
            program.log = logging.getLogger(program.__name__)
            self._print_debug_info(config_name, overrides, run_mode)
        return kept[2]


class _Sweep(_Once):
    is_sweep = True


@contextmanager
def composed_once(is_sweep: bool) -> Iterator[None]:
    """While this lasts, Hydra's programs of this process compose once.

    Parameters
    ----------
    is_sweep : bool
        Whether a sweep was asked for.
    """
    former = program.Hydra
    program.Hydra = _Sweep if is_sweep else _Once  # type: ignore[misc]
    try:
        yield
    finally:
        program.Hydra = former  # type: ignore[misc]
