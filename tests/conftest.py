"""Settings for all tests."""

from hypothesis import settings

# The same examples in every run, and no time limit: a failure is reproducible, on a busy machine as well.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
