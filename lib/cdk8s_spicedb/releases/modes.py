"""The ways in which SpiceDB keeps schemas."""

SCHEMA_MODES = {
    "read-legacy-write-legacy": "schemas are kept in the old tables alone",
    "read-legacy-write-both": "schemas are written to the unified table as well, and read from the old ones",
    "read-new-write-both": "schemas are read from the unified table, and still written to the old ones",
    "read-new-write-new": "schemas are kept in the unified table alone",
}
"""The modes of ``--experimental-schema-mode`` in their order, and what each does."""
