"""Records read by ourselves: whole batches of the partitions that somebody names, decoded in Rust.

For those who know what they read (a member of a group that was given partitions) and want many records at once.
`machine` decides what to ask whom and what an answer means, `reader` has the threads that ask. Records stay in the
blocks they came in (`moldau._core.RecordBlock`) until somebody wants them as objects.
"""

from __future__ import annotations

from moldau.client.fetching.reader import RecordReader
from moldau.client.fetching.reading import Fetched, FetchError, Start
from moldau.client.fetching.settings import EARLIEST, LATEST, FetchSettings, fetch_settings

__all__ = [
    "EARLIEST",
    "LATEST",
    "FetchError",
    "FetchSettings",
    "Fetched",
    "RecordReader",
    "Start",
    "fetch_settings",
]
