"""Moldau's Connect beside Debezium in a Java worker, `pg_recvlogical` and pyarrow: `python -m bench.versus connect`.

`workers.py` has both workers as processes, `changes.py` the database and what is written to it, `cdc.py` measures
changes and snapshots, `others.py` the S3 sink and transforms, `page.py` has the table.
"""
