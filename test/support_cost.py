"""What something costs: time that must be linear in the size of its input, and memory.

A busy machine must not make linear time look otherwise. Four times the input must cost less than eight times the time
of this thread's CPU. Something else on the machine may spoil one comparison, so several are tried; what is quadratic
costs sixteen times as much and fails every one of them.
"""

from __future__ import annotations

import gc
import time
import unittest
from typing import Callable

TRIES = 10
SLACK = 0.02  # seconds; below it caches and the clock decide. What is quadratic in tens of kilobytes takes far longer


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Whether ``work(4 * size)`` costs less than eight times what ``work(size)`` does."""
    return any(_cost(work, 4 * size) < 8 * _cost(work, size) + SLACK for _ in range(TRIES))


def _cost(work: Callable[[int], object], size: int) -> float:
    costs = []
    gc.disable()  # which would look through all that the other tests have left
    try:
        for _ in range(3):
            start = time.thread_time()
            work(size)
            costs.append(time.thread_time() - start)
    finally:
        gc.enable()
    return min(costs)


def peak_memory(work: Callable[[], object]) -> int:
    """The most bytes that *work* holds at any moment.

    :raises SkipTest: this Python cannot tell.
    """
    try:
        import tracemalloc
    except ImportError:
        raise unittest.SkipTest('this Python does not trace memory') from None
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
