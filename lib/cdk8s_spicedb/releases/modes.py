"""The modes of schema storage."""

SCHEMA_MODES = {
    "read-legacy-write-legacy": "servers use only the old schema tables",
    "read-legacy-write-both": "servers read the schema from the old tables, and also write it to the unified table",
    "read-new-write-both": "servers read the schema from the unified table, and also write it to the old tables",
    "read-new-write-new": "servers use only the unified schema table",
}
"""The modes of ``--experimental-schema-mode``, in their order, with what servers do in each."""
