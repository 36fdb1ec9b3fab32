"""Kafka Connect's distributed worker: a file goes into a topic and comes out as a file again."""

import contextlib
import json
import os
import socket
import tempfile
import time
import urllib.error
import urllib.request

from harness.jvm import LOGGING
from harness.orders import DATA
from harness.program import Program
from harness.report import ClaimFailed

# How long the worker may take for any one thing that is asked of it.
PATIENCE = 60


def names(name):
    """The topics and groups that a run makes."""
    return [name, *(f"{name}-{kind}" for kind in ("configs", "offsets", "status")), f"{name}-worker", f"connect-{name}-sink"]


def run(bootstrap, jars, name, report):
    """Makes every claim. The worker is stopped when half of the file is through, and started again."""
    with open(DATA, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    half = len(lines) // 2
    with tempfile.TemporaryDirectory() as directory:
        connect = _Connect(bootstrap, jars, name, directory)
        with report.claim("a worker with exactly-once sources keeps its state in three compacted topics"):
            connect.append(lines[:half])
            with connect.worker():
                connect.create("source", "FileStreamSource", topic=name, file=connect.source)
                connect.create("sink", "FileStreamSink", topics=name, file=connect.sink)
                connect.await_lines(half)
                connect.stop()
        with report.claim("a worker that was restarted goes on where it was: the files are equal"):
            connect.append(lines[half:])
            with connect.worker():
                connect.await_lines(len(lines))
                connect.stop()
            connect.compare()


class _Connect:
    """The worker, its files and its REST interface."""

    def __init__(self, bootstrap, jars, name, directory):
        self.source, self.sink = os.path.join(directory, "source"), os.path.join(directory, "sink")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{s.getsockname()[1]}"
        properties = {
            "bootstrap.servers": bootstrap,
            "group.id": f"{name}-worker",
            "listeners": self.url,
            "config.storage.topic": f"{name}-configs",
            "offset.storage.topic": f"{name}-offsets",
            "status.storage.topic": f"{name}-status",
            "config.storage.replication.factor": 1,
            "offset.storage.replication.factor": 1,
            "offset.storage.partitions": 3,
            "status.storage.replication.factor": 1,
            "status.storage.partitions": 3,
            "exactly.once.source.support": "enabled",
            "consumer.isolation.level": "read_committed",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "offset.flush.interval.ms": 1000,
            "scheduled.rebalance.max.delay.ms": 0,
        }
        self._file = os.path.join(directory, "worker.properties")
        with open(self._file, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in properties.items())
        self._command = [
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            "-cp", os.path.join(jars, "*"), f"-Dlog4j2.configurationFile={LOGGING}",
            "org.apache.kafka.connect.cli.ConnectDistributed", self._file,
        ]  # fmt: skip
        self._worker = None

    @contextlib.contextmanager
    def worker(self):
        with Program("the worker", self._command, {}) as self._worker:
            yield

    def stop(self):
        """Ends the worker as an operator does: it commits what it has read and written."""
        self._worker.terminate()
        self._worker.finish(143)

    def append(self, lines):
        with open(self.source, "ab") as file:
            file.writelines(lines)

    def create(self, connector, kind, **config):
        config |= {"connector.class": kind, "tasks.max": 1}
        body = json.dumps({"name": connector, "config": config}).encode()
        request = urllib.request.Request(f"{self.url}/connectors", body, {"Content-Type": "application/json"})
        self._until(lambda: urllib.request.urlopen(request, timeout=PATIENCE), f"{connector} cannot be created")

    def await_lines(self, n):
        self._until(lambda: self._lines() >= n, f"{n} lines have not come out")

    def _lines(self):
        try:
            with open(self.sink, "rb") as file:
                return sum(1 for _ in file)
        except FileNotFoundError:
            return 0

    def _until(self, condition, what):
        """Polls until the condition holds; a worker that is starting or rebalancing refuses for a while."""
        deadline = time.monotonic() + PATIENCE
        refusal = ""
        while True:
            try:
                if condition():
                    return
            except urllib.error.HTTPError as error:
                refusal = f": {error.code} {error.read().decode(errors='replace')}"
            except OSError as error:
                refusal = f": {error}"
            if self._worker.ended() or time.monotonic() > deadline:
                raise ClaimFailed(f"{what}, {self._lines()} lines have{refusal}{self._worker.complaint()}")
            time.sleep(0.1)

    def compare(self):
        with open(self.source, "rb") as source, open(self.sink, "rb") as sink:
            if source.read() != sink.read():
                raise ClaimFailed("the files differ")
