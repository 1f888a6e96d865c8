"""A SpiceDB as a Helm chart."""

from .chart import chart_files, require_chart, require_helm, write_helm_chart

__all__ = ["chart_files", "require_chart", "require_helm", "write_helm_chart"]
