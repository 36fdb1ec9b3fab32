"""How to start one of Kafka's own tools."""

import os

CLASSES = {
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf": "org.apache.kafka.tools.ConsumerPerformance",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "transactions": "org.apache.kafka.tools.TransactionsCommand",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "producer-perf": "org.apache.kafka.tools.ProducerPerformance",
    "topics": "org.apache.kafka.tools.TopicCommand",
}

LOGGING = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "java", "log4j2.properties")


def command(tool, *args, jars=None):
    """The command line of a tool. A short-lived JVM: no second compiler, no parallel collector."""
    return [
        "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
        "-cp", os.path.join(jars or os.environ["KAFKA_JARS"], "*"),
        f"-Dlog4j2.configurationFile={LOGGING}",
        CLASSES[tool], *args,
    ]  # fmt: skip
