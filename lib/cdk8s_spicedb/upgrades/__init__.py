"""Upgrades: the steps from one release of SpiceDB to another, as a plan, a table, charts and a runbook."""
