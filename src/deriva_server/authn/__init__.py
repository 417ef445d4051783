"""REST face of sessions, and the local identity."""
