"""Transactions of clients of either version: librdkafka's add partitions by request, Java's by producing."""

import os
import re
import subprocess

from harness.program import PATIENCE
from harness.report import ClaimFailed

PARTITIONS = 3
RECORDS = 4000


def copy(name):
    """The topic into which records are moved."""
    return f"{name}-copy"


def names(name):
    """The topics and groups that a run makes."""
    return [name, copy(name), f"{copy(name)}-mover"]


def librdkafka(command, env, name, report):
    """Makes the claims about a program that speaks the older version."""

    def run(*args):
        done = subprocess.run(
            [*command, *args], env=os.environ | env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE
        )
        if done.returncode != 0:
            raise ClaimFailed(f"status {done.returncode}: {(done.stdout + done.stderr).strip()[-2000:]}")

    with report.claim("transactions: committed records are read, aborted ones are not"):
        run("end", name)
    with report.claim("transactions: a producer that is replaced is fenced, its transaction aborted"):
        run("fence", name)
    with report.claim("transactions: records and offsets are moved exactly once"):
        run("move", name, copy(name))


def java(kit, report):
    """Makes the claims about Kafka's own producer and tools; kit.topic is new."""
    kit.topics("--create", "--partitions", str(PARTITIONS))
    with report.claim("transactions: transaction.version 2 is finalized"):
        shown = kit.succeeds("features", "describe")
        if not re.search(r"transaction\.version\s.*FinalizedVersionLevel: 2\b", shown):
            raise ClaimFailed(shown.strip())
    with report.claim("transactions: a transactional producer's records are all there for readers of committed ones"):
        kit.succeeds(
            "producer-perf", "--topic", kit.topic, "--num-records", str(RECORDS), "--record-size", "100", "--throughput", "2000",
            "--transactional-id", kit.topic, "--transaction-duration-ms", "100",
        )  # fmt: skip
        shown = kit.succeeds(
            "console-consumer", "--topic", kit.topic, "--from-beginning", "--isolation-level", "read_committed",
            "--timeout-ms", "20000", "--max-messages", str(RECORDS),
        )  # fmt: skip
        if (n := len(shown.splitlines())) != RECORDS:
            raise ClaimFailed(f"{n} of {RECORDS} records")
    with report.claim("transactions: kafka-transactions lists and describes the id"):
        listed = kit.succeeds("transactions", "list")
        if not re.search(rf"^{kit.topic}\s+\d+\s+\d+\s+CompleteCommit\s*$", listed, re.M):
            raise ClaimFailed(listed.strip()[-500:])
        described = kit.succeeds("transactions", "describe", "--transactional-id", kit.topic)
        if not re.search(rf"{kit.topic}\s+\d+\s+\d+\s+CompleteCommit", described):
            raise ClaimFailed(described.strip()[-500:])
