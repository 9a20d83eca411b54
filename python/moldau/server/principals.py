"""Who a client is, as long as no listener asks for a proof: everybody is the same user, as in Kafka."""

from __future__ import annotations

from typing import Final

USER: Final = "User"
ANONYMOUS: Final = "ANONYMOUS"
"""The principal of every client of a PLAINTEXT listener; quotas for a user of this name are theirs."""

NO_TIME: Final = -1
"""A timestamp in the answer to a refused request for a token."""
