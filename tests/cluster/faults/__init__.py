"""Upgrades that fail, are interrupted or meet faults of the cluster and the database."""
