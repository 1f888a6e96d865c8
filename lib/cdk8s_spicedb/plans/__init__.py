"""Upgrades: plans the steps from one release of SpiceDB to another, and writes them as charts with a README."""
