"""SIGTERM is noted, chained and acted upon later; nothing of the caller's is replaced for good."""

import gc
import os
import signal
import threading

import pytest

from hf_select import termination as termination_module
from hf_select.termination import Terminated, Termination


@pytest.fixture(autouse=True)
def handler_kept():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_is_noted_and_the_default_is_put_back():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with Termination() as termination:
        assert not termination.is_due()
        terminate()
        assert termination.is_due()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_handler_of_the_caller_is_called_and_put_back():
    seen = []
    handler = lambda number, frame: seen.append(number)  # noqa: E731
    signal.signal(signal.SIGTERM, handler)
    with Termination() as outer, Termination() as inner:
        terminate()
        assert (outer.is_due(), inner.is_due()) == (True, True)
    assert seen == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_handler_that_ends_the_process_has_its_way_later():
    def end(number, frame):
        raise SystemExit(7)

    signal.signal(signal.SIGTERM, end)
    with Termination() as termination:
        terminate()
        assert termination.is_due()
    assert termination.ended_by.code == 7


def test_a_handler_that_was_set_meanwhile_stays():
    with Termination():
        signal.signal(signal.SIGTERM, other := lambda number, frame: None)
    assert signal.getsignal(signal.SIGTERM) is other


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Termination() as termination:
        terminate()
        assert not termination.is_due()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_another_thread_touches_no_handler():
    before, found = signal.getsignal(signal.SIGTERM), []

    def work():
        with Termination() as termination:
            found.append((signal.getsignal(signal.SIGTERM) is before, termination.is_due()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(True, False)]


def test_all_processes_of_a_run_learn_of_it(monkeypatch):
    told = {}

    class Store:
        set = staticmethod(told.__setitem__)
        check = staticmethod(lambda keys: all(key in told for key in keys))

    monkeypatch.setattr(termination_module, "_store", Store)
    monkeypatch.setattr(termination_module.time, "monotonic", iter(range(0, 10**6, 2)).__next__)
    monkeypatch.setattr(termination_module, "_numbers", iter([5, 5, 6]))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    first, second, later = Termination(), Termination(), Termination()
    assert not second.is_due()
    with first:
        terminate()
        assert first.is_due()
    assert second.is_due()
    assert second.is_asked
    assert not later.is_due()  # the next work of a run that goes on
    assert list(told) == ["hf_select/terminated/5"]


def test_it_ends_without_a_collection_of_garbage(monkeypatch):
    registered = []
    monkeypatch.setattr(termination_module.atexit, "register", registered.append)
    Terminated("Stopped.")
    assert registered == [gc.freeze]


def test_it_ends_with_its_status_and_says_why():
    ended = Terminated("Stopped. Go on.")
    assert isinstance(ended, SystemExit)
    assert (ended.code, str(ended)) == (143, "Stopped. Go on.")
