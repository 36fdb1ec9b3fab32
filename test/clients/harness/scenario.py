"""The life of a topic as every client has to manage it, once for each codec."""

import time
from contextlib import ExitStack

from harness import orders
from harness.program import PATIENCE, Member, Producer, wait_until
from harness.report import ClaimFailed

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 4
FIRST = 150  # orders that are there before anyone reads
KEPT = 120  # orders that are sent after both members have left


def run(client, codec, orders_of_codec, suite, report):
    """Makes every claim about one client and codec, up to the first that fails."""
    topic = group = f"orders-{client.name}-{codec}-{suite.run_id}"
    suite.names.append(topic)
    with report.claim(f"{codec}: creates a topic"):
        client.create(topic, PARTITIONS)
    sent = list(orders_of_codec)
    with Producer(*client.produce(topic, codec)) as producer:
        with report.claim(f"{codec}: a second member joins while the first reads, and nothing is lost or read twice"):
            reads = _share(client, topic, group, producer, sent)
        with report.claim(f"{codec}: a restarted consumer goes on from the committed offset"):
            producer.feed(sent[-KEPT:])
            reads += _resume(client, topic, group, producer, reads)
        with report.claim(f"{codec}: every record is acknowledged"):
            producer.close()
    with report.claim(f"{codec}: keys, values, headers and the order of each key are what was sent"):
        orders.compare(sent, reads)
    with report.claim(f"{codec}: the batches are stored as {codec}"):
        _check_codec(suite.codecs(topic), codec)


def _share(client, topic, group, producer, sent):
    """One member reads, another joins meanwhile; returns all they read before both leave."""
    producer.feed(sent[:FIRST])
    fed = FIRST
    with ExitStack() as stack:
        first = stack.enter_context(Member("the first member", *client.consume(topic, group)))
        wait_until(lambda: first.lines, producer, [first], "the first member has read nothing")
        second = stack.enter_context(Member("the second member", *client.consume(topic, group)))
        fed = _dribble(producer, sent, fed, [first, second])
        producer.feed(sent[fed:-KEPT])
        both = [first, second]
        expected = len(sent) - KEPT
        wait_until(
            lambda: sum(len(m.lines) for m in both) >= expected,
            producer, both, f"{expected} records are not there",
        )  # fmt: skip
        for member in both:
            member.terminate()
        for member in both:
            member.finish()
        reads = first.reads + second.reads
    _check_once(reads)
    return reads


def _dribble(producer, sent, fed, members):
    """Keeps the topic moving until the second member has got its share; returns how many are sent."""
    deadline = time.monotonic() + PATIENCE
    while not members[1].lines and fed + 2 <= len(sent) - KEPT:
        if time.monotonic() > deadline or any(m.ended() for m in members):
            break
        producer.feed(sent[fed : fed + 2])
        fed += 2
        time.sleep(0.08)
    wait_until(lambda: members[1].lines, producer, members, "the second member has read nothing")
    return fed


def _check_once(reads):
    seen = set()
    for read in reads:
        at = orders.position(read)
        if at in seen:
            raise ClaimFailed(f"read twice: {read}")
        seen.add(at)


def _resume(client, topic, group, producer, before):
    """A new consumer of the group reads what is new; returns that."""
    with Member("the restarted consumer", *client.consume(topic, group)) as member:
        wait_until(lambda: len(member.lines) >= KEPT, producer, [member], f"{KEPT} new records are not there")
        member.terminate()
        member.finish()
        known = {orders.position(read) for read in before}
        for read in member.reads:
            if orders.position(read) in known:
                raise ClaimFailed(f"this had been committed before: {read}")
        return member.reads


def _check_codec(found, codec):
    """A client may leave a batch alone that compression would not shrink."""
    if codec not in found or not found <= {codec, "none"}:
        raise ClaimFailed(f"the topic's batches are stored as {sorted(found)}")
