"""Everything that is so on SQLite only."""
