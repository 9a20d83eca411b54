"""What holds for every test."""

import os

from hypothesis import settings

from moldau.server.codec import check_spelling

# An answer with a misspelled field is an error in tests; in a running broker the field would silently be dropped.
check_spelling()

# The same examples in every run, so that a change is judged by itself; `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("same", derandomize=True, database=None)
settings.register_profile("explore")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
