"""Texts of PostgreSQL against Python's own calendar and arithmetic."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.connectors.postgres import text

MICROSECOND = timedelta(microseconds=1)


@given(st.datetimes())
def test_a_timestamp_counts_microseconds_since_1970(moment):
    plain = moment.isoformat(" ").encode()
    assert text.timestamp_us(plain) == (moment - text.EPOCH) // MICROSECOND


@given(st.dates())
def test_a_date_counts_days_since_1970(day):
    assert text.date_days(day.isoformat().encode()) == (day - date(1970, 1, 1)).days
    assert text.days_from_civil(day.year, day.month, day.day) == (day - date(1970, 1, 1)).days


@given(st.integers(-4713, 294276), st.integers(1, 12), st.integers(1, 28))
def test_a_day_of_any_year_follows_the_day_before(year, month, day):
    step = text.days_from_civil(year + 400, month, day) - text.days_from_civil(year, month, day)
    assert step == 146_097


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_zoned_timestamp_in_iso_is_the_same_moment(moment):
    said = text.zoned_timestamp(6)(
        moment.strftime("%Y").zfill(4).encode() + moment.isoformat(" ")[4:-6].encode() + b"+00"
    )
    assert datetime.fromisoformat(said) == moment
    assert said.endswith("Z")
    assert len(said) == 27


@given(st.times(), st.integers(-15 * 60 + 1, 15 * 60 - 1))
def test_a_time_with_an_offset_is_moved_to_utc(clock, minutes):
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    said = text.zoned_time(f"{clock.isoformat()}{offset}".encode())
    expected = (datetime.combine(date(2000, 1, 2), clock) - timedelta(minutes=minutes)).time()
    assert text.clock_us(said[:-1].encode()) == text.clock_us(expected.isoformat().encode())


@given(st.binary(max_size=60))
def test_bytes_survive_their_hexadecimal(raw):
    assert text.bytea(b"\\x" + raw.hex().encode()) == raw


def quoted(item: bytes | None) -> bytes:
    return b"NULL" if item is None else b'"' + item.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


@given(st.lists(st.one_of(st.none(), st.binary(max_size=10)), max_size=6))
def test_an_array_is_taken_apart_at_its_commas_and_nowhere_else(items):
    assert text.array_items(b"{" + b",".join(map(quoted, items)) + b"}") == items


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.dictionaries(words, st.none() | words, max_size=5))
def test_an_hstore_is_the_pairs_it_holds(pairs):
    written = ", ".join(
        f"{quoted(k.encode()).decode()}=>{quoted(v.encode() if v is not None else None).decode()}"
        for k, v in pairs.items()
    )
    assert text.hstore(written.encode()) == pairs


@given(st.text("01", min_size=1, max_size=70))
def test_bits_are_a_little_endian_number(bits):
    assert int.from_bytes(text.bits(bits.encode()), "little") == int(bits, 2)
