"""The records that every client carries, and the comparison of what went in with what came out."""

import os
from collections import defaultdict
from typing import NamedTuple

from harness import install

DATA = os.path.join(install.ROOT, "examples", "data", "online-retail-2011-12-06.csv")


class Order(NamedTuple):
    """One record. None is Kafka's null, which is not the empty string."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Read(NamedTuple):
    """One record as a consumer handed it out."""

    partition: int
    offset: int
    order: Order


def position(read):
    """Where a record stands: unlike its bytes, no two records share it."""
    return read.partition, read.offset


class Mismatch(Exception):
    """What came out differs from what went in."""


def load(path):
    """Reads invoice lines: the customer (or null) is the key, the line as it stands is the value."""
    with open(path, "rb") as file:
        lines = file.read().splitlines()[1:]
    return [_order(line) for line in lines]


def _order(line):
    fields = line.split(b",")
    headers = (("country", fields[-1]), ("invoice", fields[0]))
    return Order(fields[-2] or None, line, headers)


# What a CSV file cannot hold: null beside empty, repeated header names, bytes that are no text.
EDGES = [
    Order(b"edge", None, ()),
    Order(b"edge", b"", (("empty", b""), ("", b"nameless"))),
    Order(b"", b"an empty key", (("twice", b"1"), ("twice", b"2"))),
    Order(b"edge", bytes(range(256)), (("bytes", bytes(range(256))),)),
    Order("schlüssel".encode(), "påskeægget 🥚".encode(), (("näme", "wért".encode()),)),
]

NULL_HEADER = Order(b"edge", b"a header without a value", (("null", None),))


def compare(sent, reads):
    """Checks bytes, completeness and order: each key's records in the order sent and in one
    partition, each partition's offsets dense. Raises Mismatch, which names the first difference."""
    by_key = defaultdict(list)
    for read in sorted(reads, key=position):
        by_key[read.order.key].append(read)
    for key, orders in _grouped(sent).items():
        got = by_key.pop(key, [])
        if key is None:
            _compare_unordered(orders, [r.order for r in got])
        else:
            _compare_sequence(orders, got)
    for key, got in by_key.items():
        raise Mismatch(f"nobody sent {_show(got[0])}")
    _check_offsets(reads)


def _grouped(orders):
    groups = defaultdict(list)
    for order in orders:
        groups[order.key].append(order)
    return groups


def _compare_sequence(sent, got):
    partitions = {r.partition for r in got}
    if len(partitions) > 1:
        raise Mismatch(f"key {sent[0].key!r} is in several partitions: {sorted(partitions)}")
    for i, order in enumerate(sent):
        if i >= len(got):
            raise Mismatch(f"lost: number {i} of key {order.key!r}: {order}")
        if got[i].order != order:
            raise Mismatch(f"number {i} of key {order.key!r}: sent {order}, got {_show(got[i])}")
    if len(got) > len(sent):
        raise Mismatch(f"one too many of key {sent[0].key!r}: {_show(got[len(sent)])}")


def _compare_unordered(sent, got):
    """Records without a key go to any partition, so that only their number and bytes are known."""
    for order in sent:
        if order not in got:
            raise Mismatch(f"lost, or changed on the way: {order}")
        got.remove(order)
    if got:
        raise Mismatch(f"nobody sent, or read twice: {got[0]}")


def _check_offsets(reads):
    next_offset = defaultdict(int)
    for read in sorted(reads, key=position):
        if read.offset != next_offset[read.partition]:
            raise Mismatch(f"offset {next_offset[read.partition]} expected, got {_show(read)}")
        next_offset[read.partition] += 1


def _show(read):
    return f"{read.order} at partition {read.partition}, offset {read.offset}"
