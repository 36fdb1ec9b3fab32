"""A client's program, running: what it is fed and what it prints."""

import os
import signal
import subprocess
import tempfile
import threading
import time

from harness import wire
from harness.report import ClaimFailed

# How long a client may take for any one thing that is asked of it.
PATIENCE = 40


class Program:
    """A process of its own group, so that what it starts ends with it. `lines` is what it has printed so far."""

    def __init__(self, name, command, env, stdin=subprocess.DEVNULL):
        self.name = name
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, env=os.environ | env, stdin=stdin, stdout=subprocess.PIPE, stderr=self._stderr,
            text=True, start_new_session=True,
        )  # fmt: skip
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def finish(self, status=0):
        """Waits for the end and demands the given exit status."""
        try:
            got = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise ClaimFailed(f"{self.name} still runs after {PATIENCE} s{self.complaint()}") from None
        if got != status:
            raise ClaimFailed(f"{self.name} ended with status {got}{self.complaint()}")
        self._reader.join()

    def terminate(self):
        self._process.terminate()

    def ended(self):
        return self._process.poll() is not None

    def complaint(self):
        """The end of what the program wrote to standard error, indented under the claim."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()[-12:]
        return "".join(f"\n        | {line}" for line in lines)


class Producer(Program):
    """A program that sends what it is fed."""

    def __init__(self, command, env):
        super().__init__("the producer", command, env, stdin=subprocess.PIPE)

    def feed(self, orders):
        try:
            for order in orders:
                self._process.stdin.write(wire.dump_order(order))
            self._process.stdin.flush()
        except BrokenPipeError:
            self.finish()
            raise ClaimFailed(f"the producer reads no more{self.complaint()}") from None

    def close(self):
        """Ends the input and waits until everything is acknowledged."""
        self._process.stdin.close()
        self.finish()


class Member(Program):
    """A member of a consumer group."""

    @property
    def reads(self):
        """The records read so far."""
        return [wire.parse_read(line) for line in self.lines]


def wait_until(condition, producer, members, what):
    """Polls until the condition holds; fails when a program ends or patience does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        for program in (producer, *members):
            if program.ended():
                program.finish()
                raise ClaimFailed(f"{program.name} left by itself{program.complaint()}")
        if time.monotonic() > deadline:
            seen = ", ".join(f"{m.name} {len(m.lines)}" for m in members)
            complaints = "".join(program.complaint() for program in (producer, *members))
            raise ClaimFailed(f"after {PATIENCE} s {what}; records read: {seen}{complaints}")
        time.sleep(0.02)
