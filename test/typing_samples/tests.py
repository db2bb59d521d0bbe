"""Tests of a handler, by ws4py.testing and pytest."""

from __future__ import annotations

from typing import Callable

from handlers import Chat

from ws4py.limits import Limits
from ws4py.policy import Policy
from ws4py.testing import EOF, Pair, ScriptedSocket, Serving, SteppedDriver, WireFrame, accepting, serve, text, until


def test_pair() -> None:
    pair = Pair(Chat, policy=Policy(limits=Limits(idle_timeout=60.0)))
    pair.client.send('hello')
    pair.to_server.deliver(3)
    pair.deliver(size=1)
    frames: list[WireFrame] = pair.to_client.frames
    pair.clock.advance(60)
    pair.drop(ConnectionResetError())
    assert not frames


def test_script() -> None:
    sock = ScriptedSocket(accepting(), text('hello'), ConnectionResetError(), EOF, takes=[2, BlockingIOError()])
    driver = SteppedDriver(Chat(sock))
    driver.start()
    driver.run()
    assert sock.frames[0].payload == b'hello'


def test_sockets(serve: Callable[..., Serving]) -> None:
    port: int = until(lambda: serve(Chat).port)
    assert port


def without_pytest() -> str:
    with serve(Chat, 'asyncio', protocols=['chat']) as server:
        return server.url
