"""The commands and outputs of the documentation and the examples."""
