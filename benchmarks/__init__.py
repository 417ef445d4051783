"""What the project costs, beside what others cost: `make bench` writes docs/explanation/performance.md."""
