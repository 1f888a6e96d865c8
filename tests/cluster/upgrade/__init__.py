"""Upgrades and rollbacks that succeed."""
