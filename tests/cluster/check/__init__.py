"""The commands that look and change nothing: ``check``, ``status`` and ``diff``."""
