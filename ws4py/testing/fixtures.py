"""Fixtures for pytest. In a ``conftest.py``, or in a test file::

    pytest_plugins = ['ws4py.testing.fixtures']

Of this package it is this module alone that imports pytest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from ws4py.testing.serving import Serving, serve

__all__ = ['serve_fixture']


@pytest.fixture(name='serve')
def serve_fixture() -> Iterator[Callable[..., Serving]]:
    """``serve(EchoWebSocket, …)``: as :func:`ws4py.testing.serve`, until the end of the test, any number of times."""
    with contextlib.ExitStack() as stack:

        def start(handler_cls: Any, backend: str = 'wsgiref', **options: Any) -> Serving:
            return stack.enter_context(serve(handler_cls, backend, **options))

        yield start
