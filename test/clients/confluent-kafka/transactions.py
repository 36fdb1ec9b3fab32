"""confluent-kafka (librdkafka): transactions. `transactions.py VERB TOPIC [COPY]`; what is found wrong is raised."""

import os
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

BOOTSTRAP = os.environ["BOOTSTRAP"]
PATIENCE = 30


def producer(transactional_id):
    p = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": transactional_id, "transaction.timeout.ms": 60_000})
    p.init_transactions(PATIENCE)
    return p


def consumer(group, isolation="read_committed"):
    return Consumer(
        {
            "bootstrap.servers": BOOTSTRAP, "group.id": group, "isolation.level": isolation,
            "auto.offset.reset": "earliest", "enable.auto.commit": False, "enable.partition.eof": True,
        }
    )  # fmt: skip


def read(topic, group, isolation="read_committed"):
    """All values of a topic up to its end."""
    c = consumer(group, isolation)
    partitions = [TopicPartition(topic, p, 0) for p in c.list_topics(topic, PATIENCE).topics[topic].partitions]
    c.assign(partitions)
    values, ends = [], 0
    while ends < len(partitions):
        message = c.poll(PATIENCE)
        if message is None:
            raise SystemExit(f"{topic} does not end")
        if not message.error():
            values.append(message.value().decode())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ends += 1
        else:
            raise KafkaException(message.error())
    c.close()
    return values


def expect(got, want):
    if sorted(got) != sorted(want):
        raise SystemExit(f"{len(got)} records, want {len(want)}: {sorted(set(got) ^ set(want))[:5]}")


def end(topic):
    """Every other transaction is aborted."""
    p = producer(topic)
    committed, every = [], []
    for n in range(10):
        p.begin_transaction()
        values = [f"{n}-{i}" for i in range(50)]
        for value in values:
            p.produce(topic, value, key=value)
        if n % 2:
            p.flush(PATIENCE)
            p.abort_transaction(PATIENCE)
        else:
            p.commit_transaction(PATIENCE)
            committed += values
        every += values
    expect(read(topic, "reader"), committed)
    expect(read(topic, "reader", "read_uncommitted"), every)


def fence(topic):
    """A second producer of the same id takes over; the first may do nothing more."""
    before = read(topic, "reader")
    old = producer(topic)
    old.begin_transaction()
    old.produce(topic, "of a zombie")
    old.flush(PATIENCE)
    new = producer(topic)
    new.begin_transaction()
    new.produce(topic, "of its heir")
    new.commit_transaction(PATIENCE)
    try:
        old.commit_transaction(PATIENCE)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._FENCED:
            raise
    else:
        raise SystemExit("a fenced producer has committed")
    expect(read(topic, "reader"), [*before, "of its heir"])


def move(topic, copy):
    """Records are copied with the offsets up to which they were read; some transactions are aborted."""
    group, want = f"{copy}-mover", read(topic, "reader")
    p, n = producer(copy), 0
    for attempt in range(100):
        c = consumer(group)
        c.subscribe([topic])
        ends = set()
        while len(ends) < len(c.assignment()) or not c.assignment():
            messages = c.consume(40, 1)
            records = [m for m in messages if not m.error()]
            ends |= {m.partition() for m in messages if m.error() and m.error().code() == KafkaError._PARTITION_EOF}
            if not records:
                continue
            p.begin_transaction()
            for m in records:
                p.produce(copy, m.value(), key=m.key())
            p.send_offsets_to_transaction(c.position(c.assignment()), c.consumer_group_metadata(), PATIENCE)
            n += 1
            if n % 3 == 0:
                p.abort_transaction(PATIENCE)
                break  # its offsets do not count: read on from those before
            p.commit_transaction(PATIENCE)
        else:
            c.close()
            break
        c.close()
    expect(read(copy, "reader"), want)


if __name__ == "__main__":
    {"end": end, "fence": fence, "move": move}[sys.argv[1]](*sys.argv[2:])
