"""Tests of upgrades of many releases."""
