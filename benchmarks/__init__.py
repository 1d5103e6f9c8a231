"""What an import costs, measured: `make bench`. Figures and bounds are kept in docs/performance.md."""
