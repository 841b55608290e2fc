"""Run the fake Replicate until it is interrupted, and print the variables that point a client at it."""

from __future__ import annotations

import signal
import sys
from threading import Event

from tests.replicate.server import FakeReplicate


def main() -> None:
    with FakeReplicate() as replicate:
        variables = {"REPLICATE_API_TOKEN": replicate.key, "REPLICATE_BASE_URL": replicate.url}
        sys.stdout.write("".join(f"export {name}={value}\n" for name, value in variables.items()))
        sys.stdout.flush()
        ended = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()


if __name__ == "__main__":
    main()
