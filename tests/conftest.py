"""What holds for every test."""

import os

from hypothesis import HealthCheck, settings

from moldau.server.codec import check_spelling

# An answer with a misspelled field is an error in tests; in a running broker the field would silently be dropped.
check_spelling()

# The same examples in every run, so that a change is judged by itself; `HYPOTHESIS_PROFILE=explore` looks for new ones.
# No example has a deadline: a busy machine is slow, and that is not a mistake of the code.
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, database=None, **PATIENT)
settings.register_profile("explore", **PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
