"""Everything that is so on PostgreSQL only."""
