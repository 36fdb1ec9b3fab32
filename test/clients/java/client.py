"""Apache Kafka's console producer and consumer: create, produce and consume as harness/wire.py asks."""

import signal
import subprocess
import sys

from harness import jvm, wire

NULL = "\\N"
SERVER = ["--bootstrap-server", wire.BOOTSTRAP]


def create(topic, partitions):
    subprocess.run(
        jvm.command("topics", *SERVER, "--create", "--topic", topic, "--partitions", str(partitions)),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def produce(topic, codec):
    properties = ["parse.key=true", "parse.headers=true", f"null.marker={NULL}"]
    command = jvm.command(
        "console-producer", *SERVER, "--topic", topic, "--compression-codec", codec,
        "--command-property", "linger.ms=5",
        *(word for p in properties for word in ("--reader-property", p)),
    )  # fmt: skip
    producer = subprocess.Popen(command, stdin=subprocess.PIPE)
    for order in wire.orders():
        headers = b",".join(name.encode() + b":" + value for name, value in order.headers)
        key = NULL.encode() if order.key is None else order.key
        producer.stdin.write(b"\t".join([headers, key, order.value]) + b"\n")
        producer.stdin.flush()
    producer.stdin.close()
    raise SystemExit(producer.wait())


def consume(topic, group):
    shown = ["partition", "offset", "headers", "key"]
    properties = [f"print.{field}=true" for field in shown] + [f"null.literal={NULL}"]
    consumer = subprocess.Popen(
        jvm.command(
            "console-consumer", *SERVER, "--topic", topic, "--group", group, "--from-beginning",
            "--command-property", f"heartbeat.interval.ms={wire.HEARTBEAT_MS}",
            "--command-property", f"session.timeout.ms={wire.SESSION_MS}",
            *(word for p in properties for word in ("--formatter-property", p)),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: consumer.terminate())
    for line in consumer.stdout:
        partition, offset, headers, key, value = line.rstrip(b"\n").split(b"\t", 4)
        pairs = [h.split(b":", 1) for h in headers.split(b",")]
        wire.emit(
            int(partition.removeprefix(b"Partition:")),
            int(offset.removeprefix(b"Offset:")),
            None if key == NULL.encode() else key,
            value,
            [(name.decode(), text) for name, text in pairs],
        )
    errors = consumer.stderr.read().decode()
    if consumer.wait() not in (0, 128 + signal.SIGTERM):
        raise SystemExit(errors)


if __name__ == "__main__":
    sys.exit(wire.main(create, produce, consume))
