"""The programs that apply a release, and what they are waited for."""

from __future__ import annotations

import sys

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live.poll import CLOCK
from cdk8s_spicedb.live.upgrade import deliver as program
from cdk8s_spicedb.live.upgrade.deliver import Ended, run


def test_program_ends_with_its_output() -> None:
    outcome = run([sys.executable, "-c", "print('a'); raise SystemExit('Error: b')"], CLOCK)
    assert (outcome.ok, outcome.error) == (False, "Error: b")
    assert run(["true"], CLOCK).ok
    assert Ended(False, "").error == "it failed without a message"


def test_program_is_stopped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_POLL_SECONDS", 0)
    monkeypatch.setattr(program, "_END_SECONDS", 0.1)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    answers = iter([None, None, "broken"])
    outcome = run([sys.executable, "-c", code], CLOCK, watch=lambda: next(answers))
    assert (outcome.ok, outcome.error) == (False, "broken")


def test_program_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(SpiceDBError, match=r"cannot run no-such-program: .*; install it"):
        run(["no-such-program"], CLOCK)
