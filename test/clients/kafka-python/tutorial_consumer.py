"""The consumer every tutorial begins with, as it stands there."""

from kafka import KafkaConsumer

consumer = KafkaConsumer('my-topic', group_id='my-group', bootstrap_servers=['localhost:9092'])
for message in consumer:
    print(message.topic, message.partition, message.offset, message.key, message.value, flush=True)
