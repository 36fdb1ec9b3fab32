"""confluent-kafka (librdkafka): create, produce and consume as harness/wire.py asks."""

import sys

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import wire


def create(topic, partitions):
    admin = AdminClient({"bootstrap.servers": wire.BOOTSTRAP})
    for future in admin.create_topics([NewTopic(topic, partitions)]).values():
        future.result(timeout=30)


def produce(topic, codec):
    failed = []
    producer = Producer({"bootstrap.servers": wire.BOOTSTRAP, "compression.type": codec})
    for order in wire.orders():
        producer.produce(
            topic,
            key=order.key,
            value=order.value,
            headers=list(order.headers),
            on_delivery=lambda error, _: error and failed.append(error),
        )
        producer.poll(0)
    left = producer.flush(30)
    if failed or left:
        raise SystemExit(f"{len(failed)} records failed, {left} unanswered: {failed[:1]}")


def consume(topic, group):
    stopped = wire.stop_on_sigterm()
    consumer = Consumer(
        {
            "bootstrap.servers": wire.BOOTSTRAP,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "heartbeat.interval.ms": wire.HEARTBEAT_MS,
            "session.timeout.ms": wire.SESSION_MS,
        }
    )
    consumer.subscribe([topic])
    while not stopped():
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        wire.emit(message.partition(), message.offset(), message.key(), message.value(), message.headers())
    consumer.close()


if __name__ == "__main__":
    sys.exit(wire.main(create, produce, consume))
