"""Settings for pydantic models of user projects."""

from pydantic import ConfigDict

DERIVA_ML_CONFIG = ConfigDict(arbitrary_types_allowed=True)
VALIDATION_CONFIG = ConfigDict(arbitrary_types_allowed=True, validate_assignment=True)
STRICT_VALIDATION_CONFIG = ConfigDict(arbitrary_types_allowed=True, validate_assignment=True, extra="forbid")

__all__ = ["DERIVA_ML_CONFIG", "STRICT_VALIDATION_CONFIG", "VALIDATION_CONFIG"]
