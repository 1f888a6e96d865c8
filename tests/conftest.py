"""Settings for all tests."""

import os
import signal

from hypothesis import settings

# The same examples in every run, and no time limit: a failure is reproducible, on a busy machine as well.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
# For a long search by hand: HYPOTHESIS_PROFILE=long.
settings.register_profile("long", deadline=None, max_examples=20_000, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# Some tests send Ctrl-C. A shell that starts the tests in the background makes them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
