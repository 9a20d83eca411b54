"""A cluster at a notebook's prompt: records, topics and groups as things that show themselves and become frames.

    import moldau

    moldau.topics()
    moldau.consume("orders", value="json", limit=1000).to_polars()

`records` reads a stretch of topics that has an end, `columns` turns it into frames, `cluster` looks at topics and
groups, `html` draws. Everything talks the public protocol through `moldau.client`.
"""

from moldau.notebook.cluster import Groups, Topics, groups, topics
from moldau.notebook.records import Record, Records, consume

__all__ = ["Groups", "Record", "Records", "Topics", "consume", "groups", "topics"]
