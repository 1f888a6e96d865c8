"""How every test runs."""

from hypothesis import settings

# The same examples each time, and no clock: what fails once fails again, on a busy machine too.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
