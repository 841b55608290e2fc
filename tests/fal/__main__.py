"""Run the fake fal until it is interrupted, and print the variables that point a portal at it."""

from __future__ import annotations

import signal
import sys
from threading import Event

from tests.fal.server import FakeFal


def main() -> None:
    with FakeFal() as fal:
        variables = {
            "FAL_KEY": fal.key,
            "FAL_QUEUE_URL": fal.queue_url,
            "FAL_REST_URL": fal.rest_url,
            "FAL_CDN_URL": fal.cdn_url,
            "FAL_API_URL": fal.api_url,
        }
        sys.stdout.write("".join(f"export {name}={value}\n" for name, value in variables.items()))
        sys.stdout.flush()
        ended = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()


if __name__ == "__main__":
    main()
