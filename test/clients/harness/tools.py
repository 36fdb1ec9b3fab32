"""Kafka's command-line tools as an operator uses them. Each claim builds on those before it."""

import json
import re
import signal
import subprocess
import tempfile

from harness import jvm
from harness.program import PATIENCE, Member, wait_until
from harness.report import ClaimFailed

RECORDS = 20_000
LOW = 100  # the offset below which records are deleted


class Tools:
    """The tools, pointed at one broker, and the topic and group they work on."""

    def __init__(self, bootstrap, jars, name):
        self.bootstrap, self.jars, self.topic, self.group = bootstrap, jars, name, name

    def command(self, tool, *args):
        return jvm.command(tool, "--bootstrap-server", self.bootstrap, *args, jars=self.jars)

    def fails(self, tool, *args):
        """Runs a tool that reports a failure; returns all it printed."""
        done = self._run(tool, *args)
        return done.stdout + done.stderr

    def succeeds(self, tool, *args):
        """Runs a tool that must succeed; returns what it printed on standard output."""
        done = self._run(tool, *args)
        if done.returncode != 0:
            raise ClaimFailed(f"{tool} {' '.join(args)}: status {done.returncode}: {_tail(done.stdout + done.stderr)}")
        return done.stdout

    def _run(self, tool, *args):
        return subprocess.run(
            self.command(tool, *args), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )

    def topics(self, verb, *args):
        return self.succeeds("topics", verb, "--topic", self.topic, *args)

    def configs(self, *args):
        return self.succeeds("configs", "--entity-type", "topics", "--entity-name", self.topic, *args)

    def groups(self, *args):
        return self.succeeds("consumer-groups", "--group", self.group, *args)

    def offsets(self, time):
        """Each partition's offset at a time ("earliest", "latest")."""
        output = self.succeeds("get-offsets", "--topic", self.topic, "--time", time)
        return {int(p): int(o) for p, o in re.findall(r":(\d+):(\d+)$", output, re.M)}

    def lags(self):
        """Each partition's (committed offset, lag) as the group's description shows them."""
        rows = re.findall(rf"{self.topic} +(\d+) +(\d+) +\d+ +(\d+) ", self.groups("--describe"))
        return {int(p): (int(committed), int(lag)) for p, committed, lag in rows}


def _tail(output):
    return output.strip()[-1500:]


def _expect(output, *patterns):
    for pattern in patterns:
        if not re.search(pattern, output, re.M):
            raise ClaimFailed(f"/{pattern}/ is not in: {_tail(output) or 'no output'}")


def _expect_equal(what, got, wanted):
    if got != wanted:
        raise ClaimFailed(f"{what}: {got} where {wanted} is right")


def run(tools, report):
    """Makes every claim. One that fails may bring those down that build on it."""
    for text, check in CLAIMS:
        try:
            with report.claim(text):
                check(tools)
        except ClaimFailed:
            pass  # reported


def create(t):
    _expect(t.topics("--create", "--partitions", "2", "--config", "retention.ms=86400000"), f"Created topic {t.topic}")


def create_again(t):
    _expect(t.fails("topics", "--create", "--topic", t.topic), f"Topic '{t.topic}' already exists")


def list_topics(t):
    _expect(t.succeeds("topics", "--list"), f"^{t.topic}$")


def add_partition(t):
    t.topics("--alter", "--partitions", "3")


def describe(t):
    _expect(
        t.topics("--describe"),
        r"PartitionCount: 3\b",
        r"retention\.ms=86400000",
        *(rf"Partition: {p}\tLeader: \d+\tReplicas: \d.*\tIsr: \d" for p in range(3)),
    )


def alter_config(t):
    t.configs("--alter", "--add-config", "retention.ms=3600000,max.message.bytes=2000000")
    _expect(t.configs("--describe"), r"retention\.ms=3600000", r"max\.message\.bytes=2000000")


def delete_config(t):
    t.configs("--alter", "--delete-config", "max.message.bytes")
    output = t.configs("--describe")
    if "max.message.bytes=2000000" in output:
        raise ClaimFailed(f"max.message.bytes is still there: {output}")
    _expect(output, r"retention\.ms=3600000")


def refuse_config(t):
    args = ("--entity-type", "topics", "--entity-name", t.topic, "--alter", "--add-config", "retention.ms=soon")
    _expect(t.fails("configs", *args), r"retention\.ms")


def broker_config(t):
    brokers = t.succeeds("configs", "--entity-type", "brokers", "--describe", "--all")
    _expect(brokers, r"auto\.create\.topics\.enable=true")


def producer_perf(t):
    output = t.succeeds(
        "producer-perf", "--topic", t.topic, "--num-records", str(RECORDS), "--record-size", "100", "--throughput", "-1"
    )
    _expect(output, rf"^{RECORDS} records sent")


def get_offsets(t):
    latest = t.offsets("latest")
    _expect_equal("partitions", sorted(latest), [0, 1, 2])
    _expect_equal("records in all", sum(latest.values()), RECORDS)
    _expect_equal("earliest offsets", t.offsets("earliest"), {0: 0, 1: 0, 2: 0})


def consumer_perf(t):
    output = t.succeeds("consumer-perf", "--topic", t.topic, "--group", t.group, "--num-records", str(RECORDS))
    read = output.strip().splitlines()[-1].split(", ")[4]
    _expect_equal("records read", int(read), RECORDS)


def list_groups(t):
    _expect(t.succeeds("consumer-groups", "--list"), f"^{t.group}$")


def describe_group(t):
    latest = t.offsets("latest")
    _expect_equal("committed offset and lag", t.lags(), {p: (end, 0) for p, end in latest.items()})


def live_group(t):
    """While a console consumer is in the group, it is described and cannot be deleted."""
    consumer = t.command("console-consumer", "--topic", t.topic, "--group", t.group, "--command-property", "client.id=live")
    with Member("the console consumer", consumer, {}) as member:
        wait_until(lambda: "Stable" in t.groups("--describe", "--state"), member, [member], "the group is not Stable")
        _expect(t.groups("--describe", "--members"), rf"{t.group} +live-\S+ +\S+ +live +3")
        _expect(t.fails("consumer-groups", "--group", t.group, "--delete"), "not empty")
        member.terminate()
        member.finish(status=128 + signal.SIGTERM)


def reset_offsets(t):
    t.groups("--reset-offsets", "--topic", t.topic, "--to-earliest", "--execute")
    _expect_equal("committed offset and lag", t.lags(), {p: (0, end) for p, end in t.offsets("latest").items()})


def delete_records(t):
    request = {"version": 1, "partitions": [{"topic": t.topic, "partition": 0, "offset": LOW}]}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(request, file)
        file.flush()
        output = t.succeeds("delete-records", "--offset-json-file", file.name)
    _expect(output, rf"partition: {t.topic}-0\tlow_watermark: {LOW}")
    _expect_equal("earliest offsets", t.offsets("earliest"), {0: LOW, 1: 0, 2: 0})


def delete_group(t):
    _expect(t.groups("--delete"), "successful")
    if t.group in t.succeeds("consumer-groups", "--list").split():
        raise ClaimFailed("the group is still listed")


def delete_topic(t):
    t.topics("--delete")
    if t.topic in t.succeeds("topics", "--list").split():
        raise ClaimFailed("the topic is still listed")


CLAIMS = [
    ("topics --create makes a topic with partitions and a setting", create),
    ("topics --create refuses a name that is taken, in Kafka's words", create_again),
    ("topics --list names the topic", list_topics),
    ("topics --alter adds a partition", add_partition),
    ("topics --describe shows partitions, leaders, replicas and settings", describe),
    ("configs --alter sets what --describe then shows", alter_config),
    ("configs --alter takes a setting away", delete_config),
    ("configs --alter refuses a bad value and names the setting", refuse_config),
    ("configs --describe shows a broker's settings", broker_config),
    (f"producer-perf sends {RECORDS} records", producer_perf),
    ("get-offsets counts them", get_offsets),
    ("consumer-perf reads every one", consumer_perf),
    ("consumer-groups --list names its group", list_groups),
    ("consumer-groups --describe shows the committed offsets and no lag", describe_group),
    ("a group with a member is described with it and cannot be deleted", live_group),
    ("consumer-groups --reset-offsets moves the group to the start", reset_offsets),
    ("delete-records moves a partition's start", delete_records),
    ("consumer-groups --delete forgets the group", delete_group),
    ("topics --delete deletes the topic", delete_topic),
]
