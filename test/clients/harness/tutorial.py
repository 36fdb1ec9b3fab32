"""Runs the first program of every Kafka tutorial against a broker that has never heard of its topic."""

import time

from harness.program import PATIENCE, Program
from harness.report import ClaimFailed

VALUE = "b'some_message_bytes'"


def run(python, source, suite, env, report):
    """Makes the tutorial's claim. The address is replaced only where the broker has another one,
    the names only where the cluster has them already."""
    topic, group = "my-topic", "my-group"
    if topic in suite.topic_names():
        topic, group = f"{topic}-{suite.run_id}", f"{group}-{suite.run_id}"
    suite.names += [topic, group]

    def command(file):
        with open(source(file)) as text:
            program = text.read()
        host, _, port = suite.bootstrap.rpartition(":")
        address = f"localhost:{port}" if host in ("localhost", "127.0.0.1") else suite.bootstrap
        for old, new in (("localhost:9092", address), ("my-topic", topic), ("my-group", group)):
            program = program.replace(old, new)
        return [python, "-c", program]

    producer, consumer = command("tutorial_producer.py"), command("tutorial_consumer.py")
    with report.claim("the tutorial's producer and consumer meet on a topic that did not exist"):
        for line in _meet(producer, consumer, env):
            name, _, _, key, value = line.split(" ", 4)
            if (name, key, value) != (topic, "None", VALUE):
                raise ClaimFailed(f"the consumer printed {line!r}")


def _meet(producer, consumer, env):
    """Starts the producer again and again until the consumer has printed something, and returns that: a
    consumer without a committed offset begins at the end, so what was sent before it came is not for it."""
    deadline = time.monotonic() + PATIENCE
    with Program("the tutorial's consumer", consumer, env) as reading:
        while not reading.lines:
            if reading.ended():
                reading.finish()
            if time.monotonic() > deadline:
                raise ClaimFailed(f"nothing read after {PATIENCE} s{reading.complaint()}")
            with Program("the tutorial's producer", producer, env) as sending:
                sending.finish()
        return list(reading.lines)
