"""Converters: between the bytes of a record and values of Connect.

`json`, `simple` (strings, bytes, numbers, booleans) and `header` need nothing but Moldau; `avro`, `protobuf` and
`json_schema` ask a schema registry.
"""
