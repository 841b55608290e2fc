"""A port of a test is nobody else's before the program that it is for listens there."""

from __future__ import annotations

import subprocess
import sys

from tests import ports
from tests.running import ROOT

OTHER = """
import sys
from tests import ports
print(ports._take(int(sys.argv[1])))
"""


def test_a_port_is_given_to_one_process_though_nothing_listens_there_yet() -> None:
    port = ports.free_port()
    assert port in ports.RANGE
    command = [sys.executable, "-c", OTHER, str(port)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False\n"
    assert not ports._take(port)
