"""Installations: what they create, and what they run on."""
