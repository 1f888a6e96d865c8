"""Tests with the controllers of GitOps tools, which run as programs beside the cluster."""
