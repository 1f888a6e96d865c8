"""A SpiceDB as a Helm chart, and many of them at once."""

from .chart import chart_files, require_chart, require_helm, write_all, write_helm_chart, write_release

__all__ = ["chart_files", "require_chart", "require_helm", "write_all", "write_helm_chart", "write_release"]
