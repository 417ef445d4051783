"""Contract suites for those who write back ends."""
