"""Headless browsers for the tests, Chromium and Firefox through one interface: WebDriver BiDi over a WebSocket of ours.

BiDi (https://w3c.github.io/webdriver-bidi/) is a WebSocket that carries JSON: commands with an id, answers with the
same id, events without. Firefox speaks it by itself, which saves the geckodriver that Debian does not package; for
Chromium its chromedriver does. The client is ws4py's threaded one, so each test runs it against two more servers.

A :class:`Browser` is one process with a profile that goes with it, a :class:`Tab` is what a person has in front of
them. TLS is as it should be: both trust the authority of the tests' certificates, which Debian's ``certutil`` (package
libnss3-tools) puts into their NSS database, and nothing else is let through.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # not OSError's before Python 3.11
from pathlib import Path
from typing import Any, Optional

from support_demo import until

from ws4py.client.threadedclient import WebSocketClient

TIMEOUT = 60.0  # seconds; a cold start on a busy machine takes ten
ENTER = '\ue007'  # as WebDriver names the key

# The names under which systems install them, the one that is run first.
CHROMIUM = ('chromium', 'chromium-browser', 'google-chrome')
FIREFOX = ('firefox-esr', 'firefox')
CHROMIUM_FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--proxy-server=http://127.0.0.1:9',  # nothing is there; loopback goes without
)
FIREFOX_PREFERENCES = {
    'app.normandy.enabled': False,
    'app.update.disabledForTesting': True,
    'browser.startup.homepage': 'about:blank',
    'browser.startup.page': 0,
    'datareporting.policy.dataSubmissionEnabled': False,
    'extensions.update.enabled': False,
    'gfx.webrender.software': True,
    'intl.locale.requested': 'en-US',  # the tests know what the console says in English
    'network.captive-portal-service.enabled': False,
    'network.connectivity-service.enabled': False,
    'network.trr.mode': 5,
    'toolkit.telemetry.enabled': False,
    # Whatever else it wants from home it may ask of a proxy that is not there. Loopback is never asked through it.
    'network.proxy.type': 1,
    'network.proxy.http': '127.0.0.1',
    'network.proxy.http_port': 9,
    'network.proxy.ssl': '127.0.0.1',
    'network.proxy.ssl_port': 9,
    'network.proxy.allow_bypass': False,
    'network.proxy.failover_direct': False,
}


def which(*names: str) -> Optional[str]:
    """The path of the first of these programs that is installed."""
    return next(filter(None, map(shutil.which, names)), None)


class BiDiError(Exception):
    """The browser could not do it; the text is the browser's."""


class Connection(WebSocketClient):
    """The remote end's commands as calls, its events as a list of (method, parameters)."""

    def __init__(self, url: str) -> None:
        # A request with an Origin may come from a page, and both browsers refuse it.
        super().__init__(url, exclude_headers=['Origin'])
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[dict[str, Any]]] = {}

    def command(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result; safe from any thread but the client's own."""
        number = next(self._numbers)
        answer = self._asked[number] = Future()
        self.send(json.dumps({'id': number, 'method': method, 'params': parameters}))
        return answer.result(TIMEOUT)

    def received_message(self, message: Any) -> None:
        received = json.loads(message.data)
        if received['type'] == 'event':
            self.events.append((received['method'], received['params']))
        elif received['type'] == 'success':
            self._asked.pop(received['id']).set_result(received['result'])
        else:
            error = BiDiError(f'{received["error"]}: {received["message"]}')
            self._asked.pop(received['id']).set_exception(error)

    def closed(self, code: int, reason: Any = None) -> None:
        for answer in list(self._asked.values()):
            answer.set_exception(BiDiError(f'the browser closed the connection: {code} {reason!r}'))


class Browser:
    """A running browser with an empty profile.

    :param authority: path of a PEM file, an authority whose certificates it is to trust.
    """

    name: str
    listening: re.Pattern[str]  # what it prints, with the port
    log_events: tuple[str, ...] = ('log.entryAdded',)

    def __init__(self, authority: str = '') -> None:
        self.home = Path(tempfile.mkdtemp(prefix='ws4py-browser-'))
        self.connection: Optional[Connection] = None
        for directory in (self.profile, self.certificates):
            directory.mkdir(parents=True, exist_ok=True)
        if authority:
            for arguments in (['-N', '--empty-password'], ['-A', '-n', 'tests', '-t', 'C,,', '-i', authority]):
                database = ['-d', f'sql:{self.certificates}']
                subprocess.run(['certutil', *arguments, *database], check=True, timeout=TIMEOUT)
        ours = {key: value for key, value in os.environ.items() if not key.startswith(('XDG_', 'DISPLAY', 'WAYLAND_'))}
        with (self.home / 'output').open('wb') as output:
            self.process = subprocess.Popen(
                self.start_command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**ours, 'HOME': str(self.home), 'MOZ_CRASHREPORTER_DISABLE': '1'},
                start_new_session=True,  # a group that can be ended as one
            )
        try:
            found = until(self._find_address, f'{self.name} listens', TIMEOUT)
            connection = Connection(f'ws://127.0.0.1:{found}/session')
            connection.connect()
            self.connection = connection
            self.command('session.new', capabilities={'alwaysMatch': self.capabilities()})
            self.command('session.subscribe', events=list(self.log_events))
        except BaseException:
            self.quit()
            raise

    @classmethod
    def missing(cls) -> str:
        """What is not here to run it, in words; empty when all is."""
        raise NotImplementedError

    @property
    def profile(self) -> Path:
        return self.home / 'profile'

    @property
    def certificates(self) -> Path:
        """The directory of its NSS database."""
        raise NotImplementedError

    def start_command(self) -> list[str]:
        raise NotImplementedError

    def capabilities(self) -> dict[str, Any]:
        return {'acceptInsecureCerts': False}

    def _find_address(self) -> str:
        text = (self.home / 'output').read_text(errors='replace')
        if self.process.poll() is not None:
            raise AssertionError(f'{self.name} ended: {text}')
        match = self.listening.search(text)
        return match[1] if match else ''

    def command(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """One command of BiDi; returns its result."""
        assert self.connection is not None
        return self.connection.command(method, **parameters)

    def open_tab(self, url: str) -> Tab:
        """A new tab that has loaded ``url``."""
        tab = Tab(self, self.command('browsingContext.create', type='tab')['context'])
        self.watch(tab)
        tab.go_to(url)
        return tab

    def watch(self, tab: Tab) -> None:
        """Let a new tab report everything that a person would find in its console."""

    def close_tabs(self) -> None:
        """Leave one empty tab, and forget what the console said."""
        first, *others = self.command('browsingContext.getTree', maxDepth=0)['contexts']
        for other in others:
            self.command('browsingContext.close', context=other['context'])
        Tab(self, first['context']).go_to('about:blank')
        self.console()

    def console(self) -> list[str]:
        """What all tabs wrote to their console, errors that nobody caught among it, since the last call."""
        assert self.connection is not None
        events, lines = self.connection.events, []
        while events:  # and the client's thread may add to it
            lines.append(self.entry(*events.pop(0)))
        return lines

    def entry(self, method: str, parameters: dict[str, Any]) -> str:
        """An event of ``log_events`` as a line."""
        return f'{parameters["level"]}: {parameters["text"]}'

    def quit(self) -> None:
        """End it, and remove what it kept."""
        with contextlib.suppress(AssertionError, BiDiError, RuntimeError, OSError, FutureTimeout):
            self.command('browser.close')
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what it has started and left behind
        self.process.wait()
        if self.connection is not None:
            self.connection.run_forever()  # its thread ends, now that nobody is at the other end
        shutil.rmtree(self.home, ignore_errors=True)


class Chromium(Browser):
    """Chromium, for which chromedriver speaks BiDi."""

    name = 'chromium'
    listening = re.compile(r'started successfully on port (\d+)')

    @classmethod
    def missing(cls) -> str:
        if not which(*CHROMIUM):
            return 'no Chromium is installed'
        return '' if which('chromedriver') else 'chromedriver is not installed'

    @property
    def certificates(self) -> Path:
        return self.home / '.pki' / 'nssdb'

    def start_command(self) -> list[str]:
        return ['chromedriver', '--port=0']

    def capabilities(self) -> dict[str, Any]:
        options = {
            'binary': which(*CHROMIUM),
            'args': [*CHROMIUM_FLAGS, f'--user-data-dir={self.profile}'],
        }
        return {**super().capabilities(), 'goog:chromeOptions': options}

    # What the network layer finds wrong, a bad frame for instance, is an entry of the console as well, but no event of
    # Chromium's BiDi. Its own protocol, which BiDi lets through, has it.
    log_events = ('log.entryAdded', 'goog:cdp.Log.entryAdded')

    def watch(self, tab: Tab) -> None:
        session = tab.command('goog:cdp.getSession')['session']
        self.command('goog:cdp.sendCommand', method='Log.enable', params={}, session=session)

    def entry(self, method: str, parameters: dict[str, Any]) -> str:
        if method == 'log.entryAdded':
            return super().entry(method, parameters)
        entry = parameters['params']['entry']
        return f'{entry["level"]}: {entry["text"]} ({entry.get("url", "")})'


class Firefox(Browser):
    """Firefox, or its extended support release."""

    name = 'firefox'
    listening = re.compile(r'WebDriver BiDi listening on ws://[^\s/]+:(\d+)')

    @classmethod
    def missing(cls) -> str:
        return '' if which(*FIREFOX) else 'no Firefox is installed'

    @property
    def certificates(self) -> Path:
        return self.profile

    def start_command(self) -> list[str]:
        lines = [f'user_pref({json.dumps(key)}, {json.dumps(value)});' for key, value in FIREFOX_PREFERENCES.items()]
        (self.profile / 'user.js').write_text('\n'.join(lines))
        program = which(*FIREFOX)
        assert program is not None
        port = ['--remote-debugging-port', '0']
        return [program, '--headless', '--no-remote', '--profile', str(self.profile), *port]


class Tab:
    """One tab: a page, and a person's hands on it."""

    def __init__(self, browser: Browser, context: str) -> None:
        self.browser = browser
        self.context = context

    def command(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        return self.browser.command(method, context=self.context, **parameters)

    def go_to(self, url: str) -> None:
        """Load ``url``, and wait until it is."""
        self.command('browsingContext.navigate', url=url, wait='complete')

    def close(self) -> None:
        self.command('browsingContext.close')

    def run(self, function: str, *arguments: Any) -> Any:
        """Call a JavaScript function in the page; arguments and result are what JSON can say."""
        declaration = f'async (text) => JSON.stringify((await ({function})(...JSON.parse(text))) ?? null)'
        answer = self.browser.command(
            'script.callFunction',
            functionDeclaration=declaration,
            arguments=[{'type': 'string', 'value': json.dumps(arguments)}],
            target={'context': self.context},
            awaitPromise=True,
        )
        if answer['type'] == 'exception':
            raise BiDiError(answer['exceptionDetails']['text'])
        return json.loads(answer['result']['value'])

    def texts(self, selector: str) -> list[str]:
        """The text of each element."""
        return self.run('(css) => Array.from(document.querySelectorAll(css), (one) => one.textContent)', selector)

    def fill(self, selector: str, text: str) -> None:
        """Put a text into a field at once, as pasting does."""
        self.run(
            '(css, text) => { const field = document.querySelector(css); field.value = text;'
            'field.dispatchEvent(new InputEvent("input", {bubbles: true})); }',
            selector,
            text,
        )

    def click(self, selector: str) -> None:
        """Come to the front and click into the middle of an element."""
        self.command('browsingContext.activate')
        locator = {'type': 'css', 'value': selector}
        (node,) = self.command('browsingContext.locateNodes', locator=locator, maxNodeCount=1)['nodes']
        origin = {'type': 'element', 'element': {'sharedId': node['sharedId']}}
        moves = [
            {'type': 'pointerMove', 'x': 0, 'y': 0, 'origin': origin},
            {'type': 'pointerDown', 'button': 0},
            {'type': 'pointerUp', 'button': 0},
        ]
        self._act({'type': 'pointer', 'id': 'mouse', 'actions': moves})

    def type(self, selector: str, text: str) -> None:
        """Click into a field and type, key by key; a newline is the Enter key."""
        self.click(selector)
        keys = text.replace('\n', ENTER)
        strokes = [{'type': kind, 'value': key} for key in keys for kind in ('keyDown', 'keyUp')]
        self._act({'type': 'key', 'id': 'keyboard', 'actions': strokes})

    def _act(self, *sources: dict[str, Any]) -> None:
        self.command('input.performActions', actions=list(sources))

    def resize(self, width: int, height: int, scale: float = 1.0) -> None:
        """Set the size of the page's view, in CSS pixels."""
        self.command('browsingContext.setViewport', viewport={'width': width, 'height': height}, devicePixelRatio=scale)

    def picture(self, path: Path) -> None:
        """Write what is in sight as a PNG file."""
        self.command('browsingContext.activate')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.command('browsingContext.captureScreenshot')['data']))
