"""A broker inside somebody's process: threads, forks, signals, the end of the interpreter."""

import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.clients import produce, read_partition

import moldau


def program(source, *arguments, timeout_s=60):
    return subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def test_eight_threads_open_and_close_brokers_of_their_own():
    def life(number):
        for turn in range(4):
            with moldau.Broker() as broker:
                assert produce(broker, "orders", [b"%d" % number]) == [(0, 0)], turn
                path = broker.path
            assert not path.exists()
        return number

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(life, range(8))) == list(range(8))


def test_one_broker_is_closed_by_eight_threads_at_once():
    broker = moldau.Broker().start()
    path = broker.path
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: broker.close(), range(8)))
    assert not path.exists()
    assert repr(broker) == "<moldau.Broker not running>"


def test_the_broker_is_closed_when_the_block_raises():
    broker = moldau.Broker()
    with pytest.raises(RuntimeError, match="belongs to the test"), broker:
        raise RuntimeError(f"{broker.path} belongs to the test")
    assert repr(broker) == "<moldau.Broker not running>"
    assert broker._path is None


OPEN_AT_THE_END = """
import sys, moldau
broker = moldau.Broker(sys.argv[1] if len(sys.argv) > 1 else None).start()
producer = moldau.Producer(bootstrap_servers=broker.bootstrap_servers, log_level=0)
producer.produce("orders", b"order")
assert producer.flush(timeout=20) == 0
print(broker.path)
"""


def test_an_interpreter_that_ends_closes_its_broker_and_removes_the_temporary_folder():
    ended = program(OPEN_AT_THE_END)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not Path(ended.stdout.strip()).exists()


def test_an_interpreter_that_ends_marks_the_directory_as_clean(tmp_path):
    ended = program(OPEN_AT_THE_END, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / ".kafka_cleanshutdown").exists()
    with moldau.Broker(tmp_path) as broker:
        assert [message.value() for message in read_partition(broker, "orders")] == [b"order"]


def test_no_signal_handler_is_installed():
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    with moldau.Broker() as broker:
        produce(broker, "orders", [b"a"])
        assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before


CTRL_C = """
import signal, threading, moldau
# What is started in the background ignores it otherwise.
signal.signal(signal.SIGINT, signal.default_int_handler)
with moldau.Broker() as broker:
    print(broker.path, flush=True)
    threading.Event().wait()
"""


def test_ctrl_c_ends_the_block_as_any_exception_does():
    child = subprocess.Popen(
        [sys.executable, "-c", CTRL_C],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = Path(child.stdout.readline().strip())
    assert path.exists()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in err
    assert not path.exists()


FORK = """
import os, socket, sys, moldau

how = sys.argv[1]
broker = moldau.Broker().start()
host, port = broker.bootstrap_servers.split(":")
client = socket.create_connection((host, int(port)), timeout=20)
hold, release = os.pipe()
child = os.fork()
if child == 0:
    os.close(release)
    for forbidden in (broker.kill, broker.restart, broker.pause):
        try:
            forbidden()
        except RuntimeError as error:
            assert "forked" in str(error)
        else:
            os._exit(3)
    broker.close()
    if how == "stays":
        os.read(hold, 1)
        os._exit(0)
    if how == "owns one":
        with moldau.Broker() as own:
            assert own.bootstrap_servers != broker.bootstrap_servers
            producer = moldau.Producer(bootstrap_servers=own.bootstrap_servers)
            producer.produce("orders", b"order")
            assert producer.flush(timeout=20) == 0
    sys.exit(0)
if how != "stays":
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
producer = moldau.Producer(bootstrap_servers=broker.bootstrap_servers, log_level=0)
producer.produce("orders", b"order")
assert producer.flush(timeout=20) == 0
path = broker.path
broker.kill()
# The child may still hold every socket: for the client the connection ends all the same, and the folder is free.
assert client.recv(1) == b""
try:
    socket.create_connection((host, int(port)), timeout=20)
except ConnectionRefusedError:
    pass
else:
    raise AssertionError("a broker that is dead accepts")
broker.restart()
broker.close()
assert not path.exists()
os.close(release)
print("done")
"""


@pytest.mark.parametrize("how", ["leaves in order", "stays", "owns one"])
def test_a_forked_child_leaves_the_broker_to_its_parent(how):
    ended = program(FORK, how)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


def test_a_child_of_multiprocessing_talks_to_the_broker_of_its_parent():
    source = """
import multiprocessing, moldau

def send(address, number):
    producer = moldau.Producer(bootstrap_servers=address)
    producer.produce("orders", b"%d" % number)
    assert producer.flush(timeout=20) == 0

if __name__ == "__main__":
    with moldau.Broker() as broker:
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=send, args=(broker.bootstrap_servers, n)) for n in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0
        print(sorted(m.value() for m in moldau.testing.KafkaClient(broker.bootstrap_servers).read("orders", 4)))
"""
    ended = program("import moldau.testing\n" + source)
    assert ended.stdout == "[b'0', b'1', b'2', b'3']\n", ended.stderr


def test_a_broker_that_cannot_start_leaves_no_thread_and_no_folder():
    threads = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        broker = moldau.Broker(port=taken.getsockname()[1])
        with pytest.raises(moldau.server.boot.StartError):
            broker.start()
    assert broker._path is None
    assert set(threading.enumerate()) <= threads


def test_a_closed_broker_can_be_started_again_and_is_empty():
    broker = moldau.Broker()
    for _ in range(2):
        with broker:
            assert produce(broker, "orders", [b"a"]) == [(0, 0)]


DESCRIPTORS = """
import gc, os, moldau

def life():
    with moldau.Broker() as broker:
        broker.kill()
        broker.restart()
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

counts = [life() for _ in range(4)]
assert counts[-1] <= counts[0], counts
"""


def test_no_descriptor_is_left_behind():
    ended = program(DESCRIPTORS)
    assert ended.returncode == 0, ended.stderr
