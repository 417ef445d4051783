"""Values that cost much to make, kept in files that are whole or of no use."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


def keep(path: Path, value: Any) -> None:
    """Keep a JSON value at a path; it appears there when it is complete."""
    text = json.dumps(value, ensure_ascii=False)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(f"{_sum(text)}\n{text}", encoding="utf-8")
    partial.replace(path)


def kept(path: Path) -> Any:
    """What is kept at a path; None where there is nothing, or it was damaged since."""
    try:
        noted, _, text = path.read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        noted = text = ""
    if noted != _sum(text):
        logger.warning("%s was changed; it is made again.", path)
        return None
    return json.loads(text)


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
