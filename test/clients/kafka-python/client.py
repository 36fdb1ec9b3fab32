"""kafka-python: create, produce and consume as harness/wire.py asks."""

import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from harness import wire

# A poll waits for a multiple of retry_backoff_ms (100), after which the client learns of a new
# topic and joins its group again: where that join begins just as a poll's time ends, kafka-python
# 3.0.12 takes the answer and never the assignment, with Apache Kafka as with us.
POLL_MS = 1000


def create(topic, partitions):
    admin = KafkaAdminClient(bootstrap_servers=[wire.BOOTSTRAP])
    admin.create_topics([NewTopic(topic, partitions, -1)])
    admin.close()


def produce(topic, codec):
    producer = KafkaProducer(
        bootstrap_servers=[wire.BOOTSTRAP],
        compression_type=None if codec == "none" else codec,
    )
    futures = [
        producer.send(topic, key=o.key, value=o.value, headers=list(o.headers)) for o in wire.orders()
    ]
    producer.flush()
    for future in futures:
        future.get(timeout=10)
    producer.close()


def consume(topic, group):
    stopped = wire.stop_on_sigterm()
    consumer = KafkaConsumer(
        topic,
        group_id=group,
        bootstrap_servers=[wire.BOOTSTRAP],
        auto_offset_reset="earliest",
        heartbeat_interval_ms=wire.HEARTBEAT_MS,
        session_timeout_ms=wire.SESSION_MS,
    )
    while not stopped():
        for records in consumer.poll(timeout_ms=POLL_MS).values():
            for r in records:
                wire.emit(r.partition, r.offset, r.key, r.value, r.headers)
    consumer.commit()
    consumer.close()


if __name__ == "__main__":
    sys.exit(wire.main(create, produce, consume))
