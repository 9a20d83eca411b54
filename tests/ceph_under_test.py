"""A real Ceph for tests: a monitor, a store of objects in memory and the gateway that speaks S3, in a temporary folder.

Debian's `ceph-mon`, `ceph-osd`, `radosgw` and `ceph-common` (`tools/ensure-system.sh ceph`); no manager and no systemd.
Everything listens on the loopback interface. The gateway checks signatures: it knows one user, whose keys are here.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from bench.versus.ports import free_port

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph-authtool", "ceph")
ACCESS_KEY, SECRET_KEY = "vltava", "moldau-is-its-other-name"
READY_WITHIN_S = 120

CONF = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{mon_v1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon data avail crit = 0
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 1073741824
osd data = {folder}/osd
mon data = {folder}/mon
rgw data = {folder}/rgw
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
log file = {folder}/$name.log
keyring = {folder}/keyring
rgw frontends = beast endpoint=127.0.0.1:{gateway}
"""


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Ceph:
    """A running cluster with its gateway, at `endpoint`. `kill_gateway` and `start_gateway` leave the objects alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._gateway_port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._gateway_port}"

    def start(self) -> None:
        for name in ("mon", "osd", "rgw"):
            (self.folder / name).mkdir()
        fsid, mon, mon_v1 = uuid.uuid4(), free_port(), free_port()
        conf = CONF.format(fsid=fsid, mon=mon, mon_v1=mon_v1, folder=self.folder, gateway=self._gateway_port)
        (self.folder / "ceph.conf").write_text(conf)
        keyring, monmap = self.folder / "keyring", self.folder / "monmap"
        everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
        run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "osd.0"):
            run("ceph-authtool", keyring, "--gen-key", "-n", name, *everything)
        shutil.copy(keyring, self.folder / "rgw" / "keyring")
        at = f"[v2:127.0.0.1:{mon},v1:127.0.0.1:{mon_v1}]"
        run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", at, monmap)
        self._ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._spawn("ceph-mon", "-i", "a")
        osd = uuid.uuid4()
        self._ceph("ceph", "osd", "new", osd, "0")
        self._ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._spawn("ceph-osd", "-i", "0")
        user = ("--uid=moldau", "--display-name=moldau", f"--access-key={ACCESS_KEY}", f"--secret={SECRET_KEY}")
        self._ceph("radosgw-admin", "user", "create", *user)
        self.start_gateway()

    def start_gateway(self) -> None:
        self._spawn("radosgw", "-n", "client.admin")
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                urlopen(self.endpoint, timeout=10).close()
                return
            except (URLError, OSError) as error:
                if time.monotonic() > deadline or self._processes["radosgw"].poll() is not None:
                    said = (self.folder / "radosgw.out").read_text()[-3000:]
                    raise RuntimeError(f"the gateway does not answer: {error}\n{said}") from None
                time.sleep(0.1)

    def kill_gateway(self) -> None:
        """kill -9."""
        self._end("radosgw")

    def stop(self) -> None:
        for name in reversed(list(self._processes)):
            self._end(name)

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def _ceph(self, program: str, *arguments: Any) -> None:
        run(program, "-c", self.folder / "ceph.conf", *arguments)

    def _spawn(self, program: str, *arguments: str) -> None:
        command = [program, "-c", str(self.folder / "ceph.conf"), *arguments, "-f"]
        with (self.folder / f"{program}.out").open("ab") as out:
            self._processes[program] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def run(*command: Any) -> None:
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=READY_WITHIN_S)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


@contextmanager
def ceph_under_test() -> Iterator[Ceph]:
    """A cluster that is gone with its folder after the block."""
    folder = Path(tempfile.mkdtemp(prefix="moldau-ceph-"))
    ceph = Ceph(folder)
    try:
        ceph.start()
        yield ceph
    finally:
        ceph.stop()
        shutil.rmtree(folder, ignore_errors=True)
