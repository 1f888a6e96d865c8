"""Tests of copies and comparisons."""
