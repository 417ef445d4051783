"""Make programs run under executions: models, sweeps, notebooks."""
