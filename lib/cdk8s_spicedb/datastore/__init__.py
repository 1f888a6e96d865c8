"""The datastores: a closed set of classes, each of which answers for its engine.

Each is imported by itself, so that nobody waits for the others.
"""
