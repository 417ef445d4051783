"""Where a run happens: Python, packages, platform, processor, environment variables without secrets."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from deriva_ml import settings
from deriva_ml.workflow import git

HIDDEN = "(hidden)"

_SECRET_NAME = re.compile(
    r"(?i)(TOKEN|SECRET|PASSW|PASSPHRASE|PWD$|CREDENTIAL|COOKIE|AUTH|PRIVATE|SIGNATURE|BEARER|JWT|NETRC|DSN"
    r"|(^|_)PAT$|WEBHOOK"
    r"|CONNECTION_?STRING|(API|ACCESS|ACCOUNT|ENCRYPTION|LICENSE|SSH|GPG|SAS|MASTER|STORAGE)_?KEY"
    r"|(^|_)KEY$|_KEY_|KEY_ID)"
)
_NAMED = re.compile(r"^(Name|Version): *(\S+)[ \t\r]*$", re.MULTILINE)
_HARMLESS = frozenset({"PWD", "OLDPWD", "SSH_TTY", "XAUTHORITY"})
_USER_IN_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]+@")
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(gh[pousr]_|github_pat_|glpat-|hf_|xox[abpr]-|sk-|AKIA|ASIA)[A-Za-z0-9_-]{12,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.|(?i:\b(password|passwd|pwd|secret|accountkey|sharedaccesskey)=[^;\s]+)"
)


def holds_secret(text: str) -> bool:
    """Whether a text has something of the form of a known kind of token or key."""
    return _SECRET_VALUE.search(text) is not None


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment variables with what looks like a secret hidden.

    A value is hidden when the variable's name speaks of a secret, when the value has the form of a known kind of
    token, or when one of the patterns in ``DERIVA_ML_ENVIRONMENT_DENY`` (regular expressions, separated by spaces)
    is found in the name. Names in ``DERIVA_ML_ENVIRONMENT_ALLOW`` (separated by spaces) are shown whatever they look
    like. User names and passwords inside URLs are always hidden.

    Parameters
    ----------
    variables : mapping of str to str

    Returns
    -------
    dict
    """
    deny = [
        re.compile(pattern, re.IGNORECASE)
        for pattern in (settings.text("DERIVA_ML_ENVIRONMENT_DENY") or "").split()
    ]
    allow = _HARMLESS.union((settings.text("DERIVA_ML_ENVIRONMENT_ALLOW") or "").split())

    def shown(name: str, value: str) -> str:
        denied = any(pattern.search(name) for pattern in deny)
        suspicious = _SECRET_NAME.search(name) or _SECRET_VALUE.search(value)
        if denied or (suspicious and name not in allow):
            return HIDDEN
        return _USER_IN_URL.sub(rf"\g<scheme>{HIDDEN}@", value)

    return {name: shown(name, value) for name, value in variables.items()}


@cache
def packages() -> dict[str, str]:
    """Version by name of every distribution that Python can import."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name, version = _named(distribution)
        if name:
            found.setdefault(name, version)
    return dict(sorted(found.items()))


def _named(distribution: metadata.Distribution) -> tuple[str, str]:
    """Name and version; most metadata is a long page, of which a parser of mail would read every line."""
    text = distribution.read_text("METADATA") or ""
    found = dict(_NAMED.findall(text.partition("\n\n")[0]))
    if found.keys() >= {"Name", "Version"}:
        return found["Name"], found["Version"]
    fields = distribution.metadata
    return (fields["Name"], fields["Version"]) if fields is not None else ("", "")


def snapshot(root: Path | None = None) -> dict[str, Any]:
    """Everything that may matter to repeat a run on another machine.

    Parameters
    ----------
    root : Path, optional
        Repository of the code that runs.

    Returns
    -------
    dict
        Blocks ``imports``, ``git``, ``os``, ``sys``, ``sys_path``, ``site``, ``platform`` and ``gpu``; JSON values
        only.
    """
    return {
        "imports": packages(),
        "git": _repository(root) if root is not None else None,
        "os": _operating_system(),
        "sys": {
            "argv": _shown(sys.argv),
            "orig_argv": _shown(sys.orig_argv),
            "byteorder": sys.byteorder,
            "executable": sys.executable,
            "flags": {name: getattr(sys.flags, name) for name in dir(sys.flags) if _is_flag(name)},
            "float_info": {
                "max": sys.float_info.max,
                "min": sys.float_info.min,
                "epsilon": sys.float_info.epsilon,
            },
            "maxsize": sys.maxsize,
            "prefix": sys.prefix,
            "base_prefix": sys.base_prefix,
            "version": sys.version,
        },
        "sys_path": list(sys.path),
        "site": {"PREFIXES": site.PREFIXES, "USER_BASE": site.USER_BASE, "USER_SITE": site.USER_SITE},
        "platform": {
            "machine": platform.machine(),
            "node": platform.node(),
            "platform": platform.platform(),
            "processor": platform.processor(),
            "python_implementation": platform.python_implementation(),
            "python_version": platform.python_version(),
            "release": platform.release(),
            "system": platform.system(),
            "version": platform.version(),
            "cpu_count": os.cpu_count(),
        },
        "gpu": gpus(),
    }


def _repository(root: Path) -> dict[str, Any]:
    return {"root": str(root), "commit": git.current_commit(root), "remotes": git.remotes(root)}


def snapshot_text(root: Path | None = None) -> str:
    """`snapshot` as indented JSON."""
    return json.dumps(snapshot(root), indent=1, default=str, ensure_ascii=False)


def without_arguments_secrets(arguments: list[str]) -> list[str]:
    """Command-line arguments with the values of options hidden whose name speaks of a secret."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = name.startswith("-") and _SECRET_NAME.search(name.lstrip("-").replace("-", "_")) is not None
        if (hide_next and not argument.startswith("-")) or _SECRET_VALUE.search(argument):
            shown.append(HIDDEN)
        else:
            masked = f"{name}={HIDDEN}" if secret and equals else argument
            shown.append(_USER_IN_URL.sub(rf"\g<scheme>{HIDDEN}@", masked))
        hide_next = secret and not equals
    return shown


_SECRET_SETTING = re.compile(
    r"(?im)^(?P<start>[ \t]*(?:- )?['\"+~]*(?:[\w@/-]+\.)*)(?P<name>(?:\w*_)?(?:password|passwd|passphrase|secret|secret_?key|api_?key"
    r"|access_?key|credentials?|(?:api|auth|access|bearer|refresh|hf|hub|github|gitlab|wandb)_?token))"
    r"(?P<mark>[ \t]*[:=][ \t]*)(?!(?:null|none|''|\"\"|true|false|[\d.]+)?['\"]?[ \t]*$)\S.*$"
)
"""A setting of Hydra. Narrower than for environment variables: ``tokenizer`` and ``max_tokens`` are parameters of models."""


def without_settings_secrets(text: str) -> str:
    """YAML or overrides of Hydra, a setting per line, with what looks like a secret hidden.

    Examples
    --------
    >>> without_settings_secrets("model.api_key=abc123")
    'model.api_key=(hidden)'
    >>> without_settings_secrets("model.max_tokens=512")
    'model.max_tokens=512'
    """
    named = _SECRET_SETTING.sub(rf"\g<start>\g<name>\g<mark>{HIDDEN}", text)
    return _USER_IN_URL.sub(rf"\g<scheme>{HIDDEN}@", _SECRET_VALUE.sub(HIDDEN, named))


def _shown(words: list[str]) -> list[str]:
    return [without_settings_secrets(word) for word in without_arguments_secrets(words)]


def _is_flag(name: str) -> bool:
    return not name.startswith(("_", "n_")) and name not in {"count", "index"}


def _operating_system() -> dict[str, Any]:
    block: dict[str, Any] = {"cwd": str(Path.cwd()), "name": os.name, "environ": without_secrets(os.environ)}
    for name in ("getuid", "geteuid", "getgid", "getegid", "getgroups", "getpid", "getppid", "getlogin"):
        try:
            block[name.removeprefix("get")] = getattr(os, name)()
        except (AttributeError, OSError):
            continue
    block["umask"] = _umask()
    return block


def _umask() -> str | None:
    # Asking by os.umask() would set it for a moment, under the feet of other threads.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[1] for line in lines if line.startswith("Umask:")), None)


@cache
def _nvidia() -> tuple[dict[str, str], ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = "--query-gpu=name,memory.total,driver_version"
    try:
        done = subprocess.run(
            [program, query, "--format=csv,noheader"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    names = ("name", "memory_total", "driver_version")
    lines = [line.split(", ") for line in done.stdout.splitlines() if done.returncode == 0]
    return tuple(dict(zip(names, line, strict=True)) for line in lines if len(line) == len(names))


def gpus() -> dict[str, Any]:
    """Graphics processors that are usable; never raises, and imports no framework by itself."""
    devices = [dict(device) for device in _nvidia()]
    block: dict[str, Any] = {
        "available": bool(devices),
        "source": "nvidia-smi" if devices else None,
        "count": len(devices),
        "devices": devices,
    }
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda"):
        try:
            block["torch"] = {"version": torch.__version__, "cuda": torch.cuda.is_available()}
        except Exception:  # noqa: BLE001  a broken driver must not end the run that only describes itself
            block["torch"] = {"version": getattr(torch, "__version__", None)}
    return block
