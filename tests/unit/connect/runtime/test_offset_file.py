"""The file of a standalone worker, in the bytes that Java writes."""

import pytest

from moldau.connect.errors import ConnectError
from moldau.connect.runtime.offset_file import dump, load, read_file, write_file
from moldau.connect.runtime.offsets import FileOffsetStore

OF_JAVA = bytes.fromhex(
    "aced0005737200116a6176612e7574696c2e486173684d61700507dac1c31660d103000246000a6c6f6164466163746f72"
    "4900097468726573686f6c6478703f4000000000000c77080000001000000003757200025b42acf317f8060854e0020000"
    "7870000000026b317571007e0002000000027631"
    "7571007e0002000000026b337571007e0002000000027633"
    "7571007e0002000000026b327078"
)
"""What `ObjectOutputStream` of Java 17 wrote for a `HashMap<byte[], byte[]>` of three pairs, one of them null."""
CONTENT = {b"k1": b"v1", b"k3": b"v3", b"k2": None}


def test_a_file_of_java_is_read_and_written_byte_for_byte():
    assert load(OF_JAVA) == CONTENT
    assert dump(CONTENT) == OF_JAVA


def test_any_number_of_offsets_comes_back():
    for count in (0, 1, 12, 13, 200):
        content = {str(each).encode(): bytes(each) for each in range(count)}
        assert load(dump(content)) == content


@pytest.mark.parametrize("length", range(1, len(OF_JAVA)))
def test_a_torn_file_is_refused_wherever_it_was_torn(length):
    with pytest.raises(ConnectError):
        load(OF_JAVA[:length])


def test_a_length_that_no_file_can_have_is_refused():
    huge = OF_JAVA.replace(b"\x00\x00\x00\x02k1", b"\x7f\xff\xff\xffk1")

    with pytest.raises(ConnectError):
        load(huge)


def test_another_file_is_refused_with_its_name(tmp_path):
    place = tmp_path / "offsets"
    place.write_text("{}")

    with pytest.raises(ConnectError, match="offsets"):
        read_file(place)


def test_a_file_that_is_not_there_is_empty(tmp_path):
    assert read_file(tmp_path / "none") == {}


def test_a_failed_write_leaves_the_old_file(tmp_path):
    place = tmp_path / "offsets"
    write_file(place, {b"a": b"1"})
    (tmp_path / "offsets.tmp").mkdir()

    with pytest.raises(ConnectError, match="cannot write"):
        write_file(place, {b"a": b"2"})
    assert read_file(place) == {b"a": b"1"}


def test_a_store_begins_where_another_ended(tmp_path):
    first = FileOffsetStore(tmp_path / "offsets")
    first.start()
    first.put("files", [({"filename": "a"}, {"position": 2**62})])
    first.put("files", [({"filename": "b"}, {"position": 1})])
    first.put("files", [({"filename": "b"}, None)])
    second = FileOffsetStore(tmp_path / "offsets")
    second.start()

    assert second.get("files", {"filename": "a"}) == {"position": 2**62}
    assert second.all_of("files") == [({"filename": "a"}, {"position": 2**62})]
