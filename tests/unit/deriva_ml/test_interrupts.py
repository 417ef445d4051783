"""Signals that wait: until the end of a block, or until they come again."""

from __future__ import annotations

import signal
import threading

import pytest

from deriva_ml.interrupts import held

INT = signal.SIGINT


def test_ctrl_c_waits_for_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held():
        for number in range(3):
            signal.raise_signal(INT)
            done.append(number)
    assert done == [0, 1, 2]
    assert signal.getsignal(INT) is signal.default_int_handler


def test_the_second_does_not_wait_where_it_may_take_long(caplog: pytest.LogCaptureFixture) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held(once=True):
        for number in range(3):
            signal.raise_signal(INT)
            done.append(number)
    assert done == [0]
    assert caplog.text.count("Interrupted; this waits") == 1
    assert signal.getsignal(INT) is signal.default_int_handler


def test_blocks_in_one_another_tell_once_and_end_one_after_the_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), held(once=True):
            with held(once=True):
                signal.raise_signal(INT)
                done.append("inner")
            done.append("outer")
    assert done == ["inner", "outer"] * 2
    assert caplog.text.count("Interrupted; this waits") == 2


def test_another_thread_holds_nothing() -> None:
    def work() -> None:
        with held():
            seen.append(signal.getsignal(INT))

    seen: list[object] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
