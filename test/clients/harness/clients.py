"""The clients: how each is installed, started, and what it cannot carry."""

import os
import subprocess
import sys

from harness import connect, install, scenario, tools, transactions, tutorial
from harness.orders import EDGES, NULL_HEADER
from harness.program import PATIENCE
from harness.report import ClaimFailed


class Client:
    """A client whose program speaks as harness/wire.py asks. Subclasses install it."""

    name = ""
    edges = True  # carries records that no text file can hold
    null_headers = True

    def __init__(self, bootstrap):
        self.env = {"BOOTSTRAP": bootstrap, "PYTHONPATH": install.HERE, "PYTHONUNBUFFERED": "1"}
        self.command = self.install()

    def install(self):
        """Installs the client and returns the command of its program."""
        raise NotImplementedError

    def source(self, file):
        return os.path.join(install.HERE, self.name, file)

    def create(self, topic, partitions):
        self.call("create", topic, str(partitions))

    def produce(self, topic, codec):
        return [*self.command, "produce", topic, codec], self.env

    def consume(self, topic, group):
        return [*self.command, "consume", topic, group], self.env

    def call(self, *args):
        """Runs the program to its end and returns what it printed."""
        done = subprocess.run(
            [*self.command, *args], env=os.environ | self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        if done.returncode != 0:
            raise ClaimFailed(f"status {done.returncode}: {(done.stdout + done.stderr).strip()[-2000:]}")
        return done.stdout

    def check(self, suite, report):
        """Makes every claim about this client; a codec that fails does not stop the others."""
        for codec in scenario.CODECS:
            try:
                scenario.run(self, codec, self.orders(suite.orders_for(codec)), suite, report)
            except ClaimFailed:
                pass  # reported; the next codec may fare better

    def orders(self, orders):
        """The orders as this client can carry them."""
        if not self.edges:
            return orders
        middle = len(orders) // 2
        more = EDGES + [NULL_HEADER] if self.null_headers else EDGES
        return orders[:middle] + more + orders[middle:]


class KafkaPython(Client):
    name = "kafka-python"
    null_headers = False

    def install(self):
        return [install.python(self.name), self.source("client.py")]

    def check(self, suite, report):
        tutorial.run(self.command[0], self.source, suite, self.env, report)
        super().check(suite, report)


class Confluent(Client):
    name = "confluent-kafka"

    def install(self):
        return [install.python(self.name), self.source("client.py")]

    def check(self, suite, report):
        super().check(suite, report)
        name = f"transactions-{self.name}-{suite.run_id}"
        suite.names += transactions.names(name)
        self.create(name, transactions.PARTITIONS)
        self.create(transactions.copy(name), transactions.PARTITIONS)
        transactions.librdkafka([self.command[0], self.source("transactions.py")], self.env, name, report)


class FranzGo(Client):
    name = "franz-go"

    def install(self):
        return [install.go(self.name)]


class KafkaJS(Client):
    name = "kafkajs"
    null_headers = False

    def install(self):
        self.env["NODE_PATH"] = install.node(self.name)
        return ["node", self.source("client.js")]


class Java(Client):
    name = "java"
    edges = False

    def install(self):
        self.env["KAFKA_JARS"] = install.jars(self.name)
        return [sys.executable, self.source("client.py")]


class JavaTools(Client):
    """The same jars as an operator uses them."""

    name = "java-tools"

    def install(self):
        self.jars = install.jars("java")

    def check(self, suite, report):
        name = f"tools-{suite.run_id}"
        suite.names.append(name)
        tools.run(tools.Tools(suite.bootstrap, self.jars, name), report)
        name = f"transactions-{self.name}-{suite.run_id}"
        suite.names += transactions.names(name)
        transactions.java(tools.Tools(suite.bootstrap, self.jars, name), report)


class Connect(Client):
    """A worker of Kafka Connect, which keeps its own state in three compacted topics."""

    name = "connect"

    def install(self):
        self.jars = install.jars(self.name)

    def check(self, suite, report):
        name = f"connect-{suite.run_id}"
        suite.names += connect.names(name)
        connect.run(suite.bootstrap, self.jars, name, report)


class Kcat(Client):
    """kcat creates no topics, and all records of one run have the same headers."""

    name = "kcat"
    edges = False

    def install(self):
        install.debian("kcat")
        self._admin = FranzGo(self.env["BOOTSTRAP"])
        return [sys.executable, self.source("client.py")]

    def create(self, topic, partitions):
        self._admin.create(topic, partitions)

    def orders(self, orders):
        headers = (("country", b"United Kingdom"), ("shop", b"online retail"))
        return [order._replace(headers=headers) for order in orders]


ALL = [Java, Connect, JavaTools, KafkaJS, KafkaPython, Confluent, Kcat, FranzGo]  # the slowest first
