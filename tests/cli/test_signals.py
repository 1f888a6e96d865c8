"""Signals end a command in order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.signals import STOPPED, signals_end_work
from cdk8s_spicedb.live.poll import InterruptibleClock, parallel

PLAN = ["plan", "--engine", "postgres", "--from", "v1.52.0"]


def command(monkeypatch: pytest.MonkeyPatch, run: Callable[[object], int]) -> None:
    """Lets a command do something else."""
    cli = import_module("cdk8s_spicedb.cli")
    monkeypatch.setattr(cli, "import_module", lambda *_: SimpleNamespace(run=run))


@pytest.fixture
def default_hang_up() -> Iterator[None]:
    """Also if what runs the tests ignores it, as nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("default_hang_up")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_all_threads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """One of which waits for a pod, and deletes it whatever happens."""
    deleted: list[str] = []
    others = threading.Event()

    def wait(name: str) -> None:
        try:
            if name == "a":
                others.wait(60)
                time.sleep(0.1)  # The first thread waits for the results by now.
                os.kill(os.getpid(), number)
            others.set()
            InterruptibleClock(STOPPED).sleep(600)
        finally:
            deleted.append(name)

    def run(_: object) -> int:
        parallel(wait, ["a", "b"])
        return 0

    command(monkeypatch, run)
    before = signal.getsignal(number)
    assert main(PLAN) == 130
    assert sorted(deleted) == ["a", "b"]
    assert capsys.readouterr().err == "Interrupted.\n"
    assert signal.getsignal(number) is before, "a program that calls main has its own handlers again"


def test_what_the_shell_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_end_work():
            os.kill(os.getpid(), signal.SIGHUP)
        assert not STOPPED.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_handle_no_signals() -> None:
    found: list[object] = []

    def work() -> None:
        with signals_end_work():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_error_that_nobody_expected_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: object) -> int:
        raise ZeroDivisionError("of a bug")

    command(monkeypatch, run)
    monkeypatch.delenv("CDK8S_SPICEDB_DEBUG", raising=False)
    assert main(PLAN) == 1
    assert capsys.readouterr().err == (
        "error: unexpected ZeroDivisionError: of a bug; set CDK8S_SPICEDB_DEBUG=1 to see the traceback, and report it\n"
    )
    monkeypatch.setenv("CDK8S_SPICEDB_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(PLAN)
