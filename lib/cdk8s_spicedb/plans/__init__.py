"""Upgrades: plans the steps from one release of SpiceDB to another, and says them as a table and in sentences."""
