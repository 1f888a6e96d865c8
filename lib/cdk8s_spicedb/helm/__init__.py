"""A SpiceDB as a Helm chart: its files, as texts."""

from .chart import chart_files

__all__ = ["chart_files"]
