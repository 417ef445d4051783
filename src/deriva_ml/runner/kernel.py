"""The Jupyter kernel that runs this Python with its packages: find it, install it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deriva_ml import extras
from deriva_ml.errors import DerivaMLConfigurationError

_THIS_PYTHON = {
    "python",
    f"python{sys.version_info.major}",
    f"python{sys.version_info.major}.{sys.version_info.minor}",
}
"""What Jupyter replaces by the Python that starts the kernel."""

_USUAL_FOLDERS = {"venv", "env", "virtualenv"}


@contextmanager
def needed() -> Iterator[None]:
    """Around imports of what only notebooks need.

    Raises
    ------
    DerivaMLDependencyError
        If something is not installed.
    """
    with extras.needed("Notebooks need", "notebook"):
        yield


@dataclass(frozen=True)
class Kernel:
    """An installed kernel.

    Parameters
    ----------
    name : str
        By which ``--kernel`` and notebooks know it.
    display_name : str
        What Jupyter shows.
    folder : Path
        Where it is installed.
    argv : tuple of str
        The command that starts it.
    language : str
    """

    name: str
    display_name: str
    folder: Path
    argv: tuple[str, ...] = ()
    language: str = "python"

    def runs(self, prefix: Path) -> bool:
        """Whether its Python is that of an environment."""
        program = self.argv[0] if self.argv else ""
        # Not resolved: the Python of an environment is a link to one that knows nothing of its packages.
        return Path(program).is_absolute() and Path(program).is_relative_to(prefix)


def installed() -> list[Kernel]:
    """Kernels that Jupyter finds, by name."""
    with needed():
        from jupyter_client.kernelspec import KernelSpecManager
    found: Mapping[str, Mapping[str, Any]] = KernelSpecManager().get_all_specs()
    return [
        _kernel(name, Path(known["resource_dir"]), known["spec"]) for name, known in sorted(found.items())
    ]


def _kernel(name: str, folder: Path, spec: Mapping[str, Any]) -> Kernel:
    return Kernel(name, spec["display_name"], folder, tuple(spec["argv"]), spec.get("language") or "python")


def find_kernel(kernels: list[Kernel] | None = None) -> Kernel | None:
    """The kernel of this environment, None when there is none.

    Parameters
    ----------
    kernels : list of Kernel, optional
        To choose from; the installed ones by default.

    Returns
    -------
    Kernel or None
        One whose program lies in the environment (``VIRTUAL_ENV``, else that of this Python); else the one that Jupyter
        starts with the Python that it runs in.
    """
    kernels = installed() if kernels is None else kernels
    prefixes = [Path(prefix) for prefix in (os.environ.get("VIRTUAL_ENV"), sys.prefix) if prefix]
    for prefix in prefixes:
        for kernel in kernels:
            if kernel.runs(prefix):
                return kernel
    return next((kernel for kernel in kernels if kernel.argv and kernel.argv[0] in _THIS_PYTHON), None)


def lookup_kernel(name: str | None = None) -> Kernel:
    """The kernel of a name, or the one of this environment.

    Raises
    ------
    DerivaMLConfigurationError
        If there is none; says how to install it, and which there are.
    """
    kernels = installed()
    found = find_kernel(kernels) if name is None else next((one for one in kernels if one.name == name), None)
    if found is not None:
        return found
    what = f"There is no Jupyter kernel {name!r}" if name else f"No Jupyter kernel runs {sys.executable}"
    known = ", ".join(kernel.name for kernel in kernels)
    there_are = f"choose one of {known} with --kernel, or " if known else ""
    raise DerivaMLConfigurationError(
        f"{what}: {there_are}make one for this environment with `deriva-ml install-kernel`."
    )


def environment_name() -> str:
    """What people call this environment: the prompt of a virtual one; the project's folder when that says nothing."""
    prefix = Path(sys.prefix)
    settings = prefix / "pyvenv.cfg"
    if settings.is_file():
        lines = (line.partition("=") for line in settings.read_text(encoding="utf-8").splitlines())
        prompts = [value.strip().strip("'\"") for key, _, value in lines if key.strip() == "prompt"]
        name = prompts[0] if prompts and prompts[0] else prefix.name
        return prefix.parent.name if name.strip(".").lower() in _USUAL_FOLDERS else name
    conda = os.environ.get("CONDA_DEFAULT_ENV")
    if conda and os.environ.get("CONDA_PREFIX") == sys.prefix:
        return Path(conda).name
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def kernel_name(name: str) -> str:
    """The name of a kernel that Jupyter accepts.

    Examples
    --------
    >>> kernel_name("Eye Lab (GPU)")
    'eye-lab-gpu'
    """
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-") or "python"


def install_kernel(local: bool = False) -> Kernel:
    """Make this environment a kernel; one of the same name is replaced.

    Parameters
    ----------
    local : bool
        Into the environment itself, where only its own Jupyter and ``deriva-ml-run-notebook`` find it; else for the
        user, where every Jupyter of the user does.

    Returns
    -------
    Kernel

    Raises
    ------
    DerivaMLConfigurationError
        If ipykernel is not installed, or the folder cannot be written.
    """
    prompt = environment_name()
    name, display_name = kernel_name(prompt), f"Python ({prompt})"
    with needed():
        from ipykernel import kernelspec
    try:
        folder = kernelspec.install(
            user=not local, prefix=sys.prefix if local else None, kernel_name=name, display_name=display_name
        )
    except OSError as error:
        where = sys.prefix if local else "your Jupyter folder"
        raise DerivaMLConfigurationError(
            f"The kernel {name!r} cannot be installed into {where}: {error}. "
            + ("Leave --install-local out to install it for you." if local else "Try --install-local.")
        ) from error
    return Kernel(name, display_name, Path(folder), (sys.executable,))
