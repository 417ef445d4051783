"""Tools for maintainers, under their known import paths."""
