"""The manual's real-time chat on CherryPy, between two tabs of a real browser: Chromium and Firefox, ws and wss.

Each class runs the same tests in one browser. Where that browser, CherryPy, trustme or certutil is missing they are
skipped; with ``pytest --require-browser`` that is a failure. ``pytest --screenshots`` writes the documentation's
picture anew.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support_demo import TIMEOUT, end, environment, until
from support_tls import authority_file, certificate_files, trustme

import browser
from browser.bidi import BiDiError, Browser, Chromium, Firefox, Tab, which

try:
    import cherrypy
except ImportError:
    cherrypy = None

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / 'docs' / '_static'
STATE, LINES, NAME, TEXT = '#state', '#log li', '#name', '#text'
SERVER_IS_GONE = 'ERR_CONNECTION_REFUSED|can’t establish a connection'  # in the words of either browser


class Server:
    """The example as a process of its own."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix='ws4py-chat-'))
        with (self.directory / 'log').open('wb') as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / 'example' / 'echo_cherrypy_server.py'), '--port', str(port), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
            )
        try:
            self.url = until(self._find_address, 'the address in the log')
        except BaseException:
            self.kill()
            raise
        self.port = int(self.url.rpartition(':')[2])

    def _find_address(self) -> str:
        if self.process.poll() is not None:
            raise AssertionError(f'the server ended: {self.log()}')
        match = re.search(r'Serving on (https?://\S+)', self.log())
        return match[1] if match else ''

    def log(self) -> str:
        """All that it wrote so far."""
        return (self.directory / 'log').read_text()

    def stop(self, signum: int) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(signum)
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        """End it the hard way, if it still runs."""
        end(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)


_running: dict[type[Browser], Browser] = {}


def running(driver: type[Browser]) -> Browser:
    """A browser that is started once for this module; it trusts our certificates if that can be arranged."""
    if driver not in _running:
        _running[driver] = driver(authority_file() if trustme is not None and which('certutil') else '')
    return _running[driver]


def tearDownModule() -> None:
    while _running:
        _running.popitem()[1].quit()


class Chat:
    """The tests, for one browser and one scheme."""

    driver: type[Browser]
    arguments: tuple[str, ...] = ()
    stop_signal = signal.SIGINT
    browser: Browser
    server: Server

    @classmethod
    def setUpClass(cls: Any) -> None:
        lack = cls.missing()
        if lack:
            raise unittest.SkipTest(lack)
        cls.browser = running(cls.driver)
        cls.server = Server(*cls.arguments)
        cls.addClassCleanup(cls.server.kill)

    @classmethod
    def missing(cls) -> str:
        return cls.driver.missing() or ('CherryPy is not installed' if cherrypy is None else '')

    def setUp(self: Any) -> None:
        self.addCleanup(self.browser.close_tabs)

    def tearDown(self: Any) -> None:
        self.assertNotIn('Traceback', self.server.log())

    def join(self: Any, name: str, server: Server | None = None) -> Tab:
        """A tab in which ``name`` is about to talk."""
        tab = self.browser.open_tab((server or self.server).url + '/')
        until(lambda: tab.texts(STATE) == ['Connected'], f'{name} is connected')
        tab.fill(NAME, name)
        return tab

    def wait_for_lines(self, tab: Tab, *lines: str) -> None:
        until(lambda: tab.texts(LINES)[-len(lines) :] == list(lines), f'{lines[-1][:40]!r} at the end of the log')

    def test_two_tabs_see_the_same_in_the_same_order(self: Any) -> None:
        ann, bob = self.join('Ann'), self.join('Bob')
        said = []

        def say(tab: Tab, name: str, text: str) -> None:
            tab.type(TEXT, text + '\n')
            said.append(f'{name}: {text}')
            for other in (ann, bob):
                self.wait_for_lines(other, *said)

        say(bob, 'Bob', 'Hi Ann, are you there?')
        say(ann, 'Ann', 'Yes. Two tabs, and one ws4py on CherryPy between them.')
        say(bob, 'Bob', 'Grüße! Привет, שלום 🎉👩‍🚀')
        if browser.screenshots and (self.driver, self.arguments) == (Firefox, ()):
            ann.resize(640, 320)
            ann.picture(PICTURES / 'cherrypy-chat.png')
        say(ann, 'Ann', '<img src=x onerror="document.title=1"><script>document.title=2</script>')
        say(ann, 'Ann', '你好 \u202e & \\u0041 "quoted"')
        for tab in (ann, bob):
            self.assertEqual(tab.texts(LINES), said)
            self.assertEqual(tab.run('() => [document.title, document.images.length]'), ['Chat', 0])
        self.assertEqual(self.browser.console(), [])

    def test_both_talk_at_once(self: Any) -> None:
        ann, bob = self.join('Ann'), self.join('Bob')
        say = (
            '(last) => { for (let i = 0; i <= last; i++) {'
            'document.getElementById("text").value = `number ${i}`; document.getElementById("form").requestSubmit(); }}'
        )
        for tab in (ann, bob):
            tab.run(say, 99)
        for tab in (ann, bob):
            until(lambda tab=tab: len(tab.texts(LINES)) == 200, 'all that was said')
        self.assertEqual(ann.texts(LINES), bob.texts(LINES))
        for name in ('Ann', 'Bob'):
            own = [line for line in ann.texts(LINES) if line.startswith(name)]
            self.assertEqual(own, [f'{name}: number {number}' for number in range(100)])
        self.assertEqual(self.browser.console(), [])

    def test_a_long_message(self: Any) -> None:
        ann, bob = self.join('Ann'), self.join('Bob')
        text = 'twelve bytes' * 8333 + ' äöü'
        self.assertGreater(len(text.encode()), 100_000)
        ann.fill(TEXT, text)
        ann.type(TEXT, '\n')
        for tab in (ann, bob):
            self.wait_for_lines(tab, f'Ann: {text}')
        self.assertEqual(self.browser.console(), [])

    def test_one_of_two_leaves(self: Any) -> None:
        ann, bob = self.join('Ann'), self.join('Bob')
        bob.close()
        ann.type(TEXT, 'alone?\n')
        self.wait_for_lines(ann, 'Ann: alone?')
        self.assertEqual(self.browser.console(), [])

    def test_the_server_stops_and_starts_again(self: Any) -> None:
        # A port that stays ours between two servers: nothing else is given it, while a server may reuse the address.
        reserved = socket.socket()
        self.addCleanup(reserved.close)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(('127.0.0.1', 0))
        port = reserved.getsockname()[1]
        server = Server(*self.arguments, port=port)
        self.addCleanup(lambda: server.kill())
        tabs = self.join('Ann', server), self.join('Bob', server)
        self.assertEqual(server.stop(self.stop_signal), 0, server.log())
        self.assertNotIn('Traceback', server.log())
        server.kill()
        for tab in tabs:
            self.wait_for_lines(tab, 'Closed: 1001 Server is shutting down')
            self.assertEqual(tab.texts(STATE), ['Reconnecting…'])
            self.assertTrue(tab.run('() => document.getElementById("send").disabled'))
        server = Server(*self.arguments, port=port)
        for tab in tabs:
            until(lambda tab=tab: tab.texts(STATE) == ['Connected'], 'the page is back')
        tabs[0].type(TEXT, 'back again\n')
        for tab in tabs:
            self.wait_for_lines(tab, 'Ann: back again')
        self.assertNotIn('Traceback', server.log())
        for line in self.browser.console():  # each attempt that failed is noted, and nothing else
            self.assertRegex(line, SERVER_IS_GONE)

    def test_a_phone(self: Any) -> None:
        tab = self.join('Ann')
        tab.type(TEXT, 'a word that does not fit: ' + 'x' * 200 + '\n')
        until(lambda: tab.texts(LINES), 'the line')
        for width in (390, 320):
            tab.resize(width, 640, 2)
            shown = tab.run(
                '() => [innerWidth, document.documentElement.scrollWidth, ...Array.from('
                '  document.querySelectorAll("body > *, form > *"), (one) => one.getBoundingClientRect()'
                ').filter((box) => box.left < 0 || box.right > innerWidth || box.bottom > innerHeight)]'
            )
            self.assertEqual(shown, [width, width])
        self.assertEqual(self.browser.console(), [])

    def test_the_console_is_watched(self: Any) -> None:
        """What the other tests rely on: whatever goes wrong in a page is seen."""
        tab = self.browser.open_tab('about:blank')
        tab.run('() => console.error("an error")')
        tab.run('() => { setTimeout(() => { throw new Error("nobody caught me"); }); }')
        with socket.socket() as silent:
            silent.bind(('127.0.0.1', 0))  # and does not listen
            url = f'ws://127.0.0.1:{silent.getsockname()[1]}/'
            tab.run('(url) => new Promise((done) => { new WebSocket(url).onerror = () => done(); })', url)
        seen = []

        def complete() -> bool:
            seen.extend(self.browser.console())
            return len(seen) == 3

        until(complete, 'three errors')
        for words in ('an error', 'nobody caught me', SERVER_IS_GONE):
            self.assertEqual(len([line for line in seen if re.search(words, line)]), 1, seen)


class TLSChat(Chat):
    stop_signal = signal.SIGTERM

    @classmethod
    def setUpClass(cls) -> None:
        if trustme is not None:
            cls.arguments = ('--ssl', *certificate_files('127.0.0.1'))
        super().setUpClass()

    @classmethod
    def missing(cls) -> str:
        if trustme is None:
            return 'trustme is not installed, no certificates for TLS'
        return super().missing() or ('' if which('certutil') else 'certutil is not installed')

    def test_the_certificate_is_verified(self: Any) -> None:
        """These tests do not pass because certificates are ignored: under another name this one is refused."""
        self.assertTrue(self.server.url.startswith('https://127.0.0.1:'))
        with self.assertRaisesRegex(BiDiError, 'CERT'):
            self.browser.open_tab(f'https://localhost:{self.server.port}/')


class ChromiumTest(Chat, unittest.TestCase):
    driver = Chromium


class ChromiumTLSTest(TLSChat, unittest.TestCase):
    driver = Chromium


class FirefoxTest(Chat, unittest.TestCase):
    driver = Firefox


class FirefoxTLSTest(TLSChat, unittest.TestCase):
    driver = Firefox


if __name__ == '__main__':
    unittest.main()
