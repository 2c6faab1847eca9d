"""Workers as processes. Each test runs in a process of its own: a fleet buries every child."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PREAMBLE = """
import io, os, selectors, signal, sys, time
from proxy.web import board as at
from proxy.process.fleet import Fleet
from proxy.web.log import Log

selector = selectors.DefaultSelector()
fleet = Fleet(selector, time.monotonic)
log = Log(sys.stdout, time.time)

def buried(count):
    found = []
    while len(found) < count:
        found += fleet.bury()
        selector.select(0.01)
    return found

def heard(worker):
    while not (messages := fleet.hear(worker)):
        selector.select(1)
    return messages
"""


def lines_of(script: str) -> list[str]:
    code = PREAMBLE + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


def test_a_worker_ends_with_what_its_job_returns() -> None:
    assert lines_of(
        """
        def job(row, channel):
            channel.send({"row": row, "pid": os.getpid()})
            return 3

        worker = fleet.fork(1, 1, job, log)
        ((same, status),) = buried(1)
        (message,) = heard(worker)
        print(same is worker, status, message == {"row": worker.row, "pid": worker.pid})
        print(fleet.workers, fleet.totals[at.PAST_CPU] > 0)
        fleet.forget(worker)
        """
    ) == ["True 3 True", "[] True"]


def test_a_fault_ends_the_worker_and_nobody_else() -> None:
    fault, *rest = lines_of(
        """
        def job(row, channel):
            raise RuntimeError("no luck")

        fleet.fork(1, 1, job, log)
        ((_, status),) = buried(1)
        print(status)
        """
    )
    assert "RuntimeError: no luck" in fault
    assert rest == ["1"]


def test_a_worker_has_plain_signals_but_those_of_the_terminal() -> None:
    assert lines_of(
        """
        signal.signal(signal.SIGTERM, lambda *_: print("not in the child"))
        signal.signal(signal.SIGHUP, lambda *_: print("not in the child"))

        def job(row, channel):
            channel.send({"ready": True})
            time.sleep(30)
            return 0

        worker = fleet.fork(1, 1, job, log)
        heard(worker)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            fleet.signal(worker, number)
        time.sleep(0.2)
        print(fleet.bury())
        fleet.signal(worker, signal.SIGTERM)
        ((_, status),) = buried(1)
        print(status == -signal.SIGTERM)
        """
    ) == ["[]", "True"]


def test_every_worker_notices_when_the_supervisor_goes() -> None:
    """Nobody else holds the other end of its channel, not even a later worker."""
    assert lines_of(
        """
        import threading

        def job(row, channel):
            while True:
                try:
                    channel.receive()
                except EOFError:
                    return 7
                time.sleep(0.01)

        workers = [fleet.fork(number, 1, job, log) for number in (1, 2, 3)]
        for worker in workers:
            worker.channel.close()
            print(buried(1)[0][1])
        """
    ) == ["7", "7", "7"]


def test_a_row_is_used_again_and_its_counters_stay() -> None:
    assert lines_of(
        """
        def job(row, channel):
            cells = fleet.board.cells(row)
            cells[at.LOGINS] += 1
            cells[at.RUNNING] = 5
            return 0

        for _ in range(3):
            worker = fleet.fork(1, 1, job, log)
            buried(1)
            fleet.forget(worker)
            print(worker.row, fleet.board.sums()[at.LOGINS], fleet.board.sums()[at.RUNNING])
        """
    ) == ["1 1.0 0.0", "1 2.0 0.0", "1 3.0 0.0"]


def test_much_news_waits_for_a_slow_worker_and_too_much_ends_it() -> None:
    assert lines_of(
        """
        def slow(row, channel):
            found = 0
            time.sleep(0.2)
            while found < 3000:
                found += len(channel.receive())
            return 5

        worker = fleet.fork(1, 1, slow, log)
        for _ in range(3000):
            fleet.send(worker, {"x": "y" * 500})
        print(worker.channel.waiting > 0)
        while worker.channel.waiting:
            for key, events in selector.select(1):
                if events & selectors.EVENT_WRITE:
                    fleet.flush(worker)
        print(buried(1)[0][1])

        def deaf(row, channel):
            time.sleep(30)
            return 0

        worker = fleet.fork(1, 1, deaf, log)
        for _ in range(40):
            fleet.send(worker, {"x": "y" * 500_000})
        print(buried(1)[0][1] == -signal.SIGKILL)
        """
    ) == ["True", "5", "True"]


def test_other_children_are_buried_too() -> None:
    """As process 1 of a container: orphans become ours."""
    assert lines_of(
        """
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        time.sleep(0.1)
        print(fleet.bury())
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            print("gone")
        """
    ) == ["[]", "gone"]
