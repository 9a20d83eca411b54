-- The shop's tables, and what change data capture needs: a role that may only read, and a publication.
CREATE TABLE customers (
    id       text PRIMARY KEY,
    name     text NOT NULL,
    city     text NOT NULL,
    ssn      text NOT NULL,
    ccnum    text NOT NULL,
    event_ts timestamp(3) NOT NULL
);

CREATE TABLE inventory (
    sku      text PRIMARY KEY,
    stock    integer NOT NULL,
    event_ts timestamp(3) NOT NULL
);

CREATE TABLE orders (
    id          bigint PRIMARY KEY,
    customer_id text NOT NULL REFERENCES customers,
    sku         text NOT NULL REFERENCES inventory,
    amount      numeric(10, 2) NOT NULL,
    status      text NOT NULL,
    event_ts    timestamp(3) NOT NULL
);

-- What other services are told: a row is an event, and its type is a header of the record.
CREATE TABLE outbox (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    aggregatetype text NOT NULL,
    aggregateid   text NOT NULL,
    type          text NOT NULL,
    payload       jsonb NOT NULL
);

CREATE ROLE debezium_ro LOGIN REPLICATION PASSWORD 'vltava';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO debezium_ro;
CREATE PUBLICATION dbz_publication FOR TABLE orders, customers, inventory, outbox;
