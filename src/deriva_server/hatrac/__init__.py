"""REST face of the object service."""
