"""The demo's status page in headless Chromium and Firefox, beside a chat and an echo that it counts.

``pytest --screenshots`` writes the pictures of the documentation anew.
"""

from __future__ import annotations

import re
import threading
import unittest
from pathlib import Path
from typing import Any

from support_demo import Demo, until

import browser
from browser.bidi import Browser, Chromium, Firefox, Tab
from ws4py.client.threadedclient import WebSocketClient

PICTURES = Path(__file__).resolve().parents[2] / 'docs' / '_static'


class Client(WebSocketClient):
    """Talks to the demo and knows how many answers it has got."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.heard = 0
        self.over = threading.Event()

    def received_message(self, message: Any) -> None:
        self.heard += 1

    def closed(self, code: int, reason: Any = None) -> None:
        self.over.set()


class Status:
    """The tests, for one browser."""

    driver: type[Browser]
    browser: Browser
    demo: Demo

    @classmethod
    def setUpClass(cls: Any) -> None:
        lack = cls.driver.missing()
        if lack:
            raise unittest.SkipTest(lack)
        cls.browser = cls.driver()
        cls.addClassCleanup(cls.browser.quit)

    def setUp(self: Any) -> None:
        self.demo = Demo()
        self.addCleanup(lambda: self.demo.kill())
        self.addCleanup(self.browser.close_tabs)

    def open(self) -> Tab:
        tab = self.browser.open_tab(f'{self.demo.url}status')
        self.wait_for(tab, '#state', 'Live')
        return tab

    def client(self: Any, path: str) -> Client:
        client = Client(self.demo.ws_url + path)
        client.connect()
        self.addCleanup(client.run_forever)
        self.addCleanup(client.close)
        return client

    def wait_for(self, tab: Tab, selector: str, text: str) -> None:
        until(lambda: tab.texts(selector) == [text], f'{text!r} at {selector}')

    def test_it_counts_what_goes_on(self: Any) -> None:
        tab = self.open()
        self.wait_for(tab, '#connections', '0')
        self.assertEqual(tab.texts('#no-closes'), ['None yet'])
        ann, echo = self.client('ws'), self.client('echo')
        self.wait_for(tab, '#connections', '2')
        ann.send('{"type": "join", "name": "Ann"}')
        for _ in range(1500):
            echo.send(bytes(100), binary=True)
        until(lambda: echo.heard == 1500 and ann.heard, 'the answers')
        for selector, text in (
            ('#opened', '2'),
            ('#text-in', '1'),
            ('#binary-in', '1,500'),
            ('#binary-out', '1,500'),
            ('#dropped', '0'),
            ('#bytes-out-total', '149.7 KiB'),
            ('#queue', '0 B'),
        ):
            if selector == '#bytes-out-total':  # with the chat's welcome
                until(lambda: re.fullmatch(r'149\.\d KiB', tab.texts('#bytes-out-total')[0]), 'the bytes sent')
            else:
                self.wait_for(tab, selector, text)
        points = 'document.querySelector("[data-plot=messages-in] polyline").getAttribute("points")'
        until(lambda: ',1.00' in tab.run(f'() => {points}'), 'the burst in the plot')  # its top
        echo.close(4000)
        ann.close()
        self.wait_for(tab, '#connections', '0')
        until(lambda: tab.texts('#closes tr') == ['1000 normal1', 'other of an application1'], 'the ends by code')
        self.assertEqual(self.browser.console(), [])

    def test_rates_and_latency_while_it_is_busy(self: Any) -> None:
        tab = self.open()
        echoes = [self.client('echo') for _ in range(3)]
        for name in ('Ann', 'Bob'):
            self.client('ws').send(f'{{"type": "join", "name": "{name}"}}')

        def busy() -> bool:
            for number, echo in enumerate(echoes):
                echo.send('x' * (40 << number))
            shown = tab.run(
                '() => ["messages-in", "messages-out", "bytes-in", "bytes-out", "latency", "pings"]'
                '.map((id) => document.getElementById(id).textContent)'
            )
            quiet = {'–', '0', '0.0', '0 B'}
            return not quiet & set(shown)

        until(busy, 'every number')
        if browser.screenshots and self.driver is Chromium:
            echoes.pop().close(4000)
            echoes.pop().close()
            rounds = iter(range(400))
            until(lambda: busy() is None or next(rounds, None) is None, 'a plot with something in it', 60)
            for name, width, height, scale in (('status.png', 1100, 640, 1), ('status-phone.png', 390, 780, 2)):
                tab.resize(width, height, scale)
                until(busy, 'every number')
                tab.picture(PICTURES / name)
        self.assertEqual(self.browser.console(), [])

    def test_a_phone(self: Any) -> None:
        tab = self.open()
        for width in (390, 320, 1100):
            tab.resize(width, 780, 2)
            shown = tab.run(
                '() => [document.documentElement.clientWidth, document.documentElement.scrollWidth, ...Array.from('
                '  document.querySelectorAll("body > *, main > *, article > *"), (one) => one.getBoundingClientRect()'
                ').filter((box) => box.left < 0 || box.right > document.documentElement.clientWidth)]'
            )
            self.assertEqual(shown[1:], [shown[0]])
            self.assertLessEqual(shown[0], width)
        self.assertEqual(self.browser.console(), [])

    def test_it_comes_back_after_a_restart_of_the_server(self: Any) -> None:
        tab = self.open()
        self.client('echo')
        self.wait_for(tab, '#opened', '1')
        self.assertEqual(self.browser.console(), [])
        port = self.demo.port
        self.assertEqual(self.demo.stop(), (0, ''))
        self.wait_for(tab, '#state', 'Reconnecting')
        self.demo = Demo(port=port)
        self.wait_for(tab, '#state', 'Live')
        self.wait_for(tab, '#opened', '0')


class InChromium(Status, unittest.TestCase):
    driver = Chromium


class InFirefox(Status, unittest.TestCase):
    driver = Firefox


if __name__ == '__main__':
    unittest.main()
