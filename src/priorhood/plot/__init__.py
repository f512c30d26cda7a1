"""Posterior → pictures; each function returns a matplotlib Figure. Only this room needs matplotlib."""

from priorhood.plot.trace import trace

__all__ = ["trace"]
