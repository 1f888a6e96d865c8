"""Files: a SpiceDB from YAML, its JSON Schema, and its manifests in a folder."""
