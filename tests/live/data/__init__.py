"""Copies of what a SpiceDB holds, and questions about it."""
