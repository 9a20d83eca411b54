# ruff: noqa: E501 - rows of SQL are easier to compare when they are not broken
"""What happens in the databases whose change events are recorded from Debezium and compared with ours.

A scenario is a connector's settings, statements before it starts (so that its snapshot reads them) and statements while
it streams. Rows with every type are written before and after: both ways of reading a value have to agree with Debezium.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DATABASE = "shop"
PREFIX = "eshop"
MARKER = "public.marker"


@dataclass(frozen=True)
class Scenario:
    name: str
    before: tuple[str, ...]
    during: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


NUMBERS = (
    """CREATE TABLE numbers (id int PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8,
       n numeric, n5 numeric(5), n93 numeric(9,3), nneg numeric(5,-2), d decimal(20,0), m money, s serial NOT NULL)""",
)
NUMBER_ROWS = (
    """INSERT INTO numbers VALUES ({0}1, true, -32768, -2147483648, -9223372036854775808, 4294967295, -1.5, 2.25e-7,
       123.4500, 42, -12345.678, 12345, 99999999999999999999, '-1234.56', 1)""",
    """INSERT INTO numbers VALUES ({0}2, false, 32767, 2147483647, 9223372036854775807, 0, 'Infinity', '-Infinity',
       0, -99999, 0, -100, 0, '$0.10', 2)""",
    "INSERT INTO numbers (id, f4, f8, n, m, s) VALUES ({0}3, 0.1, 0.1, -1e-20, 92233720368547758.07, 3)",
    "INSERT INTO numbers (id, f4, f8, n, n93, s) VALUES ({0}4, 'NaN', 3.141592653589793, 1e20, 0.5, 4)",
)
TEXTS = (
    "CREATE TYPE mood AS ENUM ('sad', 'so, so', 'happy')",
    "CREATE DOMAIN postcode AS varchar(8) CHECK (value <> '')",
    "CREATE DOMAIN amount AS numeric(8,2)",
    """CREATE TABLE texts (id int PRIMARY KEY, t text, v varchar(10), vv varchar, c char(5), cc char, nm name, j json,
       jb jsonb, u uuid, e mood, dom postcode, am amount, ts tsvector)""",
)
TEXT_ROWS = (
    """INSERT INTO texts VALUES ({0}1, E'tab\\tline\\nback\\\\slash "quoted" žluťoučký 🐎', 'ten', '', 'ab', 'x', 'a_name',
       '{{"a": [1, 2.50, null]}}', '{{"b": {{"c": "ž"}}, "a": 1.0}}',
       'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'so, so', '190 00', 12.5, 'a fat cat sat')""",
    "INSERT INTO texts (id) VALUES ({0}2)",
)
TIMES = (
    """CREATE TABLE times (id int PRIMARY KEY, d date, t0 time(0), t3 time(3), t6 time, tz timetz, tz0 timetz(0),
       ts0 timestamp(0), ts3 timestamp(3), ts6 timestamp, tstz timestamptz, tstz0 timestamptz(0), tstz3 timestamptz(3),
       iv interval, ivd interval day to second(3))""",
)
TIME_ROWS = (
    """INSERT INTO times VALUES ({0}1, '2026-02-28', '13:51:30', '13:51:30.123', '13:51:30.123456',
       '13:51:30.123789+02', '13:51:30-05:30', '2026-11-04 13:51:30', '2026-11-04 13:51:30.123',
       '2026-11-04 13:51:30.123456', '2026-11-04 13:51:30.123456+02:00', '2026-11-04 13:51:30+02:00',
       '2026-11-04 13:51:30.120+02:00', '1 year 2 months 3 days 04:05:06.078', '3 days -04:05:06.078')""",
    """INSERT INTO times (id, d, t6, tz, ts6, tstz, iv) VALUES ({0}2, '1900-01-01', '00:00:00', '00:00:00+00',
       '1960-01-01 00:00:00.000001', '1960-01-01 00:00:00.1+00', '-1 mons -2 days +03:00')""",
    """INSERT INTO times (id, d, t6, ts6, tstz, iv) VALUES ({0}3, '0044-03-15 BC', '24:00:00', '0044-03-15 12:00:00 BC',
       '0044-03-15 12:00:00+00 BC', '-178000000 years')""",
    "INSERT INTO times (id, d, ts6, tstz) VALUES ({0}4, '12345-06-07', '12345-06-07 08:09:10', '12345-06-07 08:09:10+00')",
    "INSERT INTO times (id) VALUES ({0}5)",
)
INFINITE_ROWS = (
    "CREATE TABLE infinite (id int PRIMARY KEY, ts6 timestamp, ts3 timestamp(3), tstz timestamptz, d date)",
    "INSERT INTO infinite VALUES (1, 'infinity', 'infinity', 'infinity', 'infinity')",
    "INSERT INTO infinite VALUES (2, '-infinity', '-infinity', '-infinity', '-infinity')",
    "CREATE TABLE nans (id int PRIMARY KEY, n numeric, n2 numeric(5,2))",
    "INSERT INTO nans VALUES (1, 'NaN', 'NaN')",
)
BINARIES = (
    """CREATE TABLE binaries (id int PRIMARY KEY, b1 bit(1), b bit, b7 bit(7), b33 bit(33), vb varbit(40), vb1 varbit(1),
       vbx varbit, ba bytea)""",
)
BINARY_ROWS = (
    """INSERT INTO binaries VALUES ({0}1, B'1', B'0', B'1010101', B'100000000000000000000000000000001', B'101', B'1',
       B'111100001111', '\\x00ff10deadbeef')""",
    "INSERT INTO binaries (id, b7, ba) VALUES ({0}2, B'0000000', '')",
    "INSERT INTO binaries (id) VALUES ({0}3)",
)
NETWORKS = (
    """CREATE TABLE networks (id int PRIMARY KEY, i inet, c cidr, m macaddr, m8 macaddr8, p point, l line, ls lseg, bx box,
       pa path, po polygon, ci circle, r4 int4range, r8 int8range, rn numrange, rts tsrange, rtz tstzrange, rd daterange)""",
)
NETWORK_ROWS = (
    """INSERT INTO networks VALUES ({0}1, '192.168.1.5/24', '10.1.0.0/16', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
       '(1.5,-2)', '{{1,2,3}}', '[(0,0),(1,1)]', '(3,4),(1,2)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))',
       '<(1,2),3>', '[1,5)', '(,9]', '[1.1,2.2]', '[2026-01-01,2026-02-01)', '[2026-01-01 00:00+00,)',
       '[2026-01-01,2026-01-05]')""",
    "INSERT INTO networks (id) VALUES ({0}2)",
)
ARRAYS = (
    """CREATE TABLE arrays (id int PRIMARY KEY, ab bool[], a2 int2[], a4 int4[], a8 int8[], af4 float4[], af8 float8[],
       an numeric[], an2 numeric(9,2)[], at text[], av varchar(5)[], ac char(3)[], ad date[], at6 time[], ats timestamp[],
       atz timestamptz[], attz timetz[], au uuid[], aj json[], ajb jsonb[], aby bytea[], ae mood[], ai inet[],
       ar int4range[], ao oid[])""",
)
ARRAY_ROWS = (
    """INSERT INTO arrays VALUES ({0}1, '{{t,f,null}}', '{{1,-2}}', '{{3,null}}', '{{}}', '{{1.5}}', '{{2.5,NaN}}',
       '{{1.10,2,-3e2}}', '{{1.1,null}}', ARRAY['a','b,c','"q"',E'\\\\',NULL,'NULL',''], '{{abc}}', '{{x}}',
       '{{2026-01-02,1969-12-31}}', '{{01:02:03.000004}}', '{{2026-01-02 03:04:05.000006}}',
       '{{2026-01-02 03:04:05.000006+02}}', '{{01:02:03+02}}', '{{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}}',
       ARRAY['{{"a":1}}']::json[], ARRAY['{{"b":"x,y"}}']::jsonb[], ARRAY['\\xdead']::bytea[], '{{sad,"so, so"}}',
       '{{10.0.0.1/8}}', ARRAY['[1,3)']::int4range[], '{{1,4294967295}}')""",
    "INSERT INTO arrays (id) VALUES ({0}2)",
)
DEFAULTS = (
    """CREATE TABLE defaults (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, b bool NOT NULL DEFAULT true,
       i int NOT NULL DEFAULT 42, i8 bigint DEFAULT -1, f8 float8 DEFAULT 1.5, n numeric(5,2) NOT NULL DEFAULT 1.1,
       nn numeric NOT NULL DEFAULT 2.50, t text NOT NULL DEFAULT 'a ''quoted'' text', v varchar(9) DEFAULT 'x',
       d date NOT NULL DEFAULT '2020-01-01', ts timestamp NOT NULL DEFAULT '2020-01-01 01:02:03',
       tz timestamptz NOT NULL DEFAULT '2020-01-01 01:02:03+00', now timestamptz NOT NULL DEFAULT now(),
       u uuid NOT NULL DEFAULT gen_random_uuid(), j jsonb NOT NULL DEFAULT '{}', a int[] DEFAULT '{}',
       nul text DEFAULT NULL, e mood DEFAULT 'sad', iv interval DEFAULT '1 day', tm time DEFAULT '12:00',
       by bytea DEFAULT '\\x01', nodefault int NOT NULL, g int GENERATED ALWAYS AS (1) STORED)""",
)
DEFAULT_ROWS = (
    """INSERT INTO defaults (nodefault, now, u) VALUES
       (7, '2026-01-01 00:00+00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')""",
)
EXTENSIONS = (
    "CREATE EXTENSION hstore",
    "CREATE EXTENSION citext",
    "CREATE EXTENSION ltree",
    "CREATE TABLE extensions (id int PRIMARY KEY, h hstore, c citext, l ltree, ca citext[], la ltree[], ha hstore[], x xml)",
)
EXTENSION_ROWS = (
    """INSERT INTO extensions VALUES ({0}1, 'a=>1, "b c"=>NULL, q=>"say \\"x\\""', 'CaSe', 'Top.Science.Astronomy',
       '{{A,b}}', '{{a.b,c}}', ARRAY['k=>v']::hstore[], '<a b="c">d</a>')""",
    "INSERT INTO extensions (id) VALUES ({0}2)",
)


def rows(templates: tuple[str, ...], round_: int) -> tuple[str, ...]:
    return tuple(template.format(round_) for template in templates)


ALL_TYPES = (*NUMBERS, *TEXTS, *TIMES, *BINARIES, *NETWORKS, *ARRAYS)
TYPE_ROWS = (*NUMBER_ROWS, *TEXT_ROWS, *TIME_ROWS, *BINARY_ROWS, *NETWORK_ROWS, *ARRAY_ROWS)
# Connect's own dates and timestamps are Python's here, which know the years 1 to 9999.
WITHIN_PYTHON = tuple(row for row in TYPE_ROWS if " BC'" not in row and "12345-" not in row)
BIG = "repeat(md5('moldau'), 3000)"

CHANGES_BEFORE = (
    "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, note text)",
    "ALTER TABLE customers ALTER COLUMN note SET STORAGE EXTERNAL",
    "CREATE TABLE whole (id int, k text NOT NULL, note text, tags text[], PRIMARY KEY (k, id))",
    "ALTER TABLE whole REPLICA IDENTITY FULL",
    "ALTER TABLE whole ALTER COLUMN note SET STORAGE EXTERNAL",
    "CREATE TABLE keyless (a int, b text)",
    "ALTER TABLE keyless REPLICA IDENTITY FULL",
    "CREATE TABLE indexed (id int PRIMARY KEY, code text NOT NULL, note text)",
    "CREATE UNIQUE INDEX indexed_code ON indexed (code)",
    "ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code",
    "CREATE SCHEMA inventory",
    'CREATE TABLE inventory."Odd Name" ("Id" int PRIMARY KEY, "select" text, "a-b" int)',
    "CREATE TABLE toasts (id int PRIMARY KEY, n int, t text, j jsonb, by bytea, a text[], ai int[], av varchar)",
    *(f"ALTER TABLE toasts ALTER COLUMN {c} SET STORAGE EXTERNAL" for c in ("t", "j", "by", "a", "ai", "av")),
    "INSERT INTO customers VALUES (1, 'Anna', NULL), (2, 'Bohumil', 'kept')",
    "INSERT INTO whole VALUES (1, 'a', 'x', '{p,q}')",
    "INSERT INTO keyless VALUES (1, 'one')",
    """INSERT INTO inventory."Odd Name" VALUES (1, 'x', 2)""",
)
CHANGES_DURING = (
    "INSERT INTO customers VALUES (3, 'Cyril', 'new')",
    "UPDATE customers SET name = 'Cyrila' WHERE id = 3",
    "UPDATE customers SET id = 30 WHERE id = 3",
    "DELETE FROM customers WHERE id = 30",
    "UPDATE customers SET name = name WHERE id = 1",
    f"INSERT INTO toasts VALUES (1, 1, {BIG}, to_jsonb({BIG}), {BIG}::bytea, ARRAY[{BIG}], array_fill(7, ARRAY[30000]), {BIG})",
    "UPDATE toasts SET n = 2",
    "ALTER TABLE toasts REPLICA IDENTITY FULL",
    "UPDATE toasts SET n = 3",
    "DELETE FROM toasts",
    f"INSERT INTO whole VALUES (2, 'b', {BIG}, NULL)",
    "UPDATE whole SET tags = '{z}' WHERE id = 2",
    "UPDATE whole SET k = 'c' WHERE id = 2",
    "DELETE FROM whole WHERE id = 2",
    "INSERT INTO keyless VALUES (2, 'two')",
    "UPDATE keyless SET b = 'zwei' WHERE a = 2",
    "DELETE FROM keyless WHERE a = 2",
    "INSERT INTO indexed VALUES (1, 'A', 'n')",
    "UPDATE indexed SET note = 'm'",
    "UPDATE indexed SET code = 'B'",
    "UPDATE indexed SET id = 2",
    "DELETE FROM indexed",
    """UPDATE inventory."Odd Name" SET "a-b" = 3""",
    "BEGIN; INSERT INTO customers VALUES (5, 'Eva', NULL); UPDATE customers SET note = 'x' WHERE id = 5; DELETE FROM customers WHERE id = 5; INSERT INTO keyless VALUES (5, 'five'); COMMIT",
    "BEGIN; INSERT INTO customers VALUES (6, 'never', NULL); ROLLBACK",
    "ALTER TABLE customers ADD COLUMN age int NOT NULL DEFAULT 18",
    "INSERT INTO customers VALUES (7, 'Gustav', NULL, 40)",
    "ALTER TABLE customers DROP COLUMN note",
    "UPDATE customers SET age = 41 WHERE id = 7",
    "ALTER TABLE customers RENAME COLUMN name TO full_name",
    "ALTER TABLE customers ALTER COLUMN age TYPE bigint",
    "INSERT INTO customers VALUES (8, 'Hana', 42)",
    "TRUNCATE customers, keyless RESTART IDENTITY",
    "SELECT pg_logical_emit_message(true, 'note', 'inside')",
    "SELECT pg_logical_emit_message(false, 'note', 'outside')",
    "INSERT INTO customers VALUES (9, 'Ivan', 43)",
)
SCENARIOS = (
    Scenario("types", (*ALL_TYPES, *rows(TYPE_ROWS, 1)), rows(TYPE_ROWS, 2)),
    Scenario("infinite", INFINITE_ROWS, ("UPDATE infinite SET ts3 = NULL", "UPDATE nans SET n2 = NULL")),
    Scenario("defaults", (TEXTS[0], *DEFAULTS, *DEFAULT_ROWS), DEFAULT_ROWS),
    Scenario(
        "extensions",
        (*EXTENSIONS, *rows(EXTENSION_ROWS, 1)),
        rows(EXTENSION_ROWS, 2),
        needs=("hstore", "citext", "ltree"),
    ),
    Scenario(
        "extensions_as_map",
        (*EXTENSIONS, *rows(EXTENSION_ROWS, 1)),
        rows(EXTENSION_ROWS, 2),
        {"hstore.handling.mode": "map"},
        needs=("hstore", "citext", "ltree"),
    ),
    Scenario(
        "types_as_strings",
        (*ALL_TYPES, *rows(TYPE_ROWS, 1)),
        rows(TYPE_ROWS, 2),
        {
            "decimal.handling.mode": "string",
            "time.precision.mode": "isostring",
            "binary.handling.mode": "hex",
            "interval.handling.mode": "string",
            "include.unknown.datatypes": "true",
        },
    ),
    Scenario(
        "types_as_connect",
        (*ALL_TYPES, *rows(WITHIN_PYTHON, 1)),
        rows(WITHIN_PYTHON, 2),
        {
            "decimal.handling.mode": "double",
            "time.precision.mode": "connect",
            "binary.handling.mode": "base64",
            "column.propagate.source.type": ".*",
        },
    ),
    Scenario(
        "types_in_microseconds",
        (*NUMBERS, *TIMES, *rows(NUMBER_ROWS + TIME_ROWS, 1)),
        rows(NUMBER_ROWS + TIME_ROWS, 2),
        {"time.precision.mode": "adaptive_time_microseconds", "money.fraction.digits": "3"},
    ),
    Scenario("changes", CHANGES_BEFORE, CHANGES_DURING, {"skipped.operations": "none"}),
    Scenario(
        "changes_in_transactions",
        CHANGES_BEFORE,
        CHANGES_DURING,
        {
            "provide.transaction.metadata": "true",
            "tombstones.on.delete": "false",
            "message.key.columns": "public.keyless:a;inventory.*:Id,a-b;public.customers:name",
            "unavailable.value.placeholder": "not here",
            "schema.refresh.mode": "columns_diff_exclude_unchanged_toast",
        },
    ),
    Scenario(
        "filters",
        CHANGES_BEFORE,
        CHANGES_DURING,
        {
            "table.include.list": "public.customers,inventory.*,public.whole",
            "column.exclude.list": "public.customers.note,inventory.Odd Name.select",
            "column.mask.with.4.chars": "public.customers.name",
            "column.mask.hash.SHA-256.with.salt.salty": "public.whole.note",
            "column.truncate.to.3.chars": "public.customers.full_name",
            "skipped.operations": "t,d",
            "topic.delimiter": "-",
            "schema.name.adjustment.mode": "avro",
            "field.name.adjustment.mode": "avro",
        },
    ),
)
