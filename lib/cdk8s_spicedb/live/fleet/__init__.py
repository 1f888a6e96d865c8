"""Upgrades of many releases, in waves."""
