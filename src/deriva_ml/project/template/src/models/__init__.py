"""What runs: functions that take ``ml_instance`` and ``execution``."""
