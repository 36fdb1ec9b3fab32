"""How the suite and a client's program speak: one JSON array a line, bytes in base64, null as null.

The program is called as `PROGRAM create TOPIC PARTITIONS`, `PROGRAM produce TOPIC CODEC` (orders on
standard input, status 0 once all are acknowledged) or `PROGRAM consume TOPIC GROUP` (records on
standard output until SIGTERM, then commit and leave). BOOTSTRAP in the environment is the broker.
"""

import base64
import json
import os
import signal
import sys

from harness.orders import Order, Read

BOOTSTRAP = os.environ.get("BOOTSTRAP", "localhost:9092")

# Short enough that a second member need not wait long for the first to notice it.
HEARTBEAT_MS = 300
SESSION_MS = 10_000


def _encode(value):
    return None if value is None else base64.b64encode(value).decode()


def _decode(text):
    return None if text is None else base64.b64decode(text)


def dump_order(order):
    headers = [[name, _encode(value)] for name, value in order.headers]
    return json.dumps([_encode(order.key), _encode(order.value), headers]) + "\n"


def parse_order(line):
    key, value, headers = json.loads(line)
    return Order(_decode(key), _decode(value), tuple((n, _decode(v)) for n, v in headers))


def parse_read(line):
    partition, offset, *order = json.loads(line)
    return Read(partition, offset, parse_order(json.dumps(order)))


def orders():
    """The orders on standard input, as they come."""
    for line in sys.stdin:
        yield parse_order(line)


def emit(partition, offset, key, value, headers):
    """Writes one record that the client read."""
    order = Order(key, value, tuple(headers or ()))
    print(f"[{partition}, {offset}, {dump_order(order).strip()[1:]}", flush=True)


def stop_on_sigterm():
    """Returns a function that tells whether SIGTERM has come."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    return lambda: bool(stopped)


def main(create, produce, consume):
    """Runs the verb that the command line names."""
    verb, topic, argument = sys.argv[1:]
    if verb == "create":
        create(topic, int(argument))
    else:
        {"produce": produce, "consume": consume}[verb](topic, argument)
