"""Metrics of many executions in one table."""
