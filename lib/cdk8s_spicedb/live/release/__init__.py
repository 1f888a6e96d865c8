"""What runs of a release: its servers, migration, events and record, and whether a roll-out is done."""
