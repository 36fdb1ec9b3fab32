"""The suite's output: a line for each claim of each client, and the count."""

import threading
import time
from contextlib import contextmanager


class ClaimFailed(Exception):
    """A claim does not hold; the message says what was seen instead."""


class Report:
    """Collects what held and what did not. Safe for use by several clients at once."""

    def __init__(self):
        self.passed = self.failed = 0
        self._lock = threading.Lock()

    def client(self, name):
        return ClientReport(self, name)

    def add(self, client, claim, error=None):
        with self._lock:
            if error is None:
                self.passed += 1
                print(f"ok    {client:16} {claim}", flush=True)
            else:
                self.failed += 1
                print(f"FAIL  {client:16} {claim}: {error}", flush=True)

    def note(self, line):
        with self._lock:
            print(line, flush=True)


class ClientReport:
    """The report of one client."""

    def __init__(self, report, name):
        self._report, self.name = report, name
        self._passed = self._failed = 0
        self._start = time.monotonic()

    @contextmanager
    def claim(self, text):
        """Reports text as held unless the body raises, in which case the error is passed on."""
        try:
            yield
        except Exception as error:
            self._failed += 1
            self._report.add(self.name, text, error)
            raise ClaimFailed(text) from error
        self._passed += 1
        self._report.add(self.name, text)

    def close(self):
        seconds = time.monotonic() - self._start
        self._report.note(f"      {self.name:16} {self._passed} passed, {self._failed} failed in {seconds:.0f} s")
