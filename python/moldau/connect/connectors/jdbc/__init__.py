"""Records into the tables of PostgreSQL, under the names of the JDBC sinks of Confluent and of Debezium."""
