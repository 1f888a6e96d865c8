"""The steps of an upgrade and of a rollback: how they are applied, watched, and undone."""
