"""The rehearsal of an upgrade: all of its steps, on a copy of the live data."""
