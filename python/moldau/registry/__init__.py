"""The schema registry: Confluent's REST interface and record format, against any Kafka cluster.

It reaches the cluster only as a client, and it is three layers. The core is pure: `records` (what stands in
`_schemas`), `state` (what they add up to; `apply` is the only way it changes), `decisions` (a request becomes records
and an answer), `languages` and `compat` (what a schema says, and who can read whom). `rest` translates HTTP to
decisions and back. `store`, `election` and `service` are the only parts that wait: they read and write the topic,
choose who may write, and put it all on a socket.

A language of schemas is one object with the methods of `languages.Language`; nothing else in here knows Avro from
Protobuf.
"""
