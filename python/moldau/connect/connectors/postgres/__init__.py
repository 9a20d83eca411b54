"""PostgreSQL: change data capture in Debezium's event format (`source.py`), and rows written from topics."""
