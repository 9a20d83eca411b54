"""How records become objects: Parquet, Avro, JSON, bytes; and which part of a record an object holds."""
