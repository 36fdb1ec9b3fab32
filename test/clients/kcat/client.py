"""kcat: produce and consume as harness/wire.py asks. kcat cannot create topics, and gives all records
of one run the same headers."""

import queue
import signal
import subprocess
import sys
import threading

from harness import wire

KCAT = ["kcat", "-q", "-b", wire.BOOTSTRAP]
# The lengths first (-1 is null), so that no byte of a key or value can be taken for a separator.
FORMAT = "%p %o %K %S %h\n%k%s\n"


def produce(topic, codec):
    for burst in _bursts(wire.orders()):
        command = KCAT + ["-P", "-t", topic, "-z", codec, "-K", "\t", "-Z"]
        for name, value in burst[0].headers:
            command += ["-H", f"{name}={value.decode()}"]
        lines = b"".join((order.key or b"") + b"\t" + order.value + b"\n" for order in burst)
        subprocess.run(command, input=lines, check=True)


def _bursts(orders):
    """Lists of the orders that have come so far. kcat reads its input in blocks and holds back a
    block that is not full until the input ends, so that each burst needs a run of its own."""
    arrived = queue.SimpleQueue()

    def read():
        for order in orders:
            arrived.put(order)
        arrived.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (order := arrived.get()) is not None:
        burst = [order]
        while not arrived.empty():
            if (order := arrived.get()) is None:
                yield burst
                return
            burst.append(order)
        yield burst


def consume(topic, group):
    kcat = subprocess.Popen(
        KCAT
        + ["-G", group, "-u", "-f", FORMAT]
        + ["-X", "auto.offset.reset=earliest"]
        + ["-X", f"heartbeat.interval.ms={wire.HEARTBEAT_MS}"]
        + ["-X", f"session.timeout.ms={wire.SESSION_MS}"]
        + [topic],
        stdout=subprocess.PIPE,
    )
    signal.signal(signal.SIGTERM, lambda *_: kcat.terminate())
    for line in kcat.stdout:
        partition, offset, key, value, headers = line.rstrip(b"\n").split(b" ", 4)
        pairs = [h.split(b"=", 1) for h in headers.split(b",")]
        wire.emit(
            int(partition),
            int(offset),
            _take(kcat.stdout, int(key)),
            _take(kcat.stdout, int(value)),
            [(name.decode(), text) for name, text in pairs],
        )
        kcat.stdout.read(1)
    raise SystemExit(kcat.wait())


def _take(pipe, length):
    return None if length < 0 else pipe.read(length)


if __name__ == "__main__":
    sys.exit(wire.main(None, produce, consume))
