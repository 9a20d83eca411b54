"""The text of `.proto` files, proto2 and proto3: read, written canonically, and turned into descriptors and back.

`lexer`, `values` and `parser` read text into `elements`; `printer` writes elements as text; `linking` finds what is
imported and `types` what a name stands for; `checks` says what no compiler would take; `normal` writes what means the
same the same way. `write_descriptor` and `read_descriptor` go to `FileDescriptorProto` and back.

The canonical text is the one that Confluent's registry stores, so the GUID of a schema is the same in both.
"""
