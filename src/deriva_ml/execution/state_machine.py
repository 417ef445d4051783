"""The state machine of executions under its known import path."""

from deriva_ml.errors import InvalidTransitionError
from deriva_ml.execution.states import ALLOWED_TRANSITIONS, validate_transition

__all__ = ["ALLOWED_TRANSITIONS", "InvalidTransitionError", "validate_transition"]
