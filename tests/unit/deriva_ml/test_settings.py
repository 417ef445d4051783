from pathlib import Path

import pytest

from deriva_ml import settings


@pytest.mark.parametrize(
    "value, wanted", [("true", True), ("1", True), ("YES", True), ("0", False), ("", False), ("no", False)]
)
def test_flags(monkeypatch, value, wanted):
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", value)
    assert settings.allow_dirty() is wanted


def test_defaults(monkeypatch):
    for name in (
        "DERIVA_ML_ALLOW_DIRTY",
        "DERIVA_ML_HOME",
        "DERIVA_ML_RETRY_ATTEMPTS",
        "DERIVA_ML_RETRY_BACKOFF",
    ):
        monkeypatch.delenv(name, raising=False)
    assert not settings.allow_dirty()
    assert settings.home() == Path.home() / ".deriva-ml"
    assert settings.retry_attempts() == 15 and settings.retry_backoff() == 0.2


def test_odd_numbers_are_ignored(monkeypatch):
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "many")
    assert settings.retry_attempts() == 15
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "-1")
    assert settings.retry_attempts() == 0
