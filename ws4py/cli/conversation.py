"""One connection of the command line, and a conversation that goes on when the connection is lost.

There are three threads: one reads the input and sends, the client's own receives and shows, and the main thread waits
for the end and for signals. So receiving never waits for sending, and neither waits for a line to be typed.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import Any, Callable, Optional

from ws4py.backoff import Attempt
from ws4py.cli.arguments import EXIT_ABNORMAL, EXIT_FAILED, EXIT_OK, EXIT_TIMEOUT, EXIT_USAGE, public, say
from ws4py.cli.exchange import Input, Output, UnusableFileError
from ws4py.client.threadedclient import Reconnecting, WebSocketClient
from ws4py.exc import HandshakeError
from ws4py.terminal import Screen

__all__ = ['Client', 'Conversation', 'Session', 'hold']

NORMAL_CODES = (1000, 1001, 1005)  # 1005: the Close frame that ended the connection named no code


class Session:
    """What was asked for on the command line, and what the connections of one run share.

    :param once: close after the first message that comes in, and not at the end of the input.
    :param quiet: say nothing but errors.
    :ivar failed: a file could not be read, or not be written.
    :ivar received: a message came in.
    :ivar expired: the time for the whole was over.
    """

    def __init__(self, input: Input, output: Output, screen: Screen, once: bool = False, quiet: bool = False) -> None:
        self.input = input
        self.output = output
        self.screen = screen
        self.once = once
        self.quiet = quiet
        self.failed = False
        self.expired = False
        self.received = False
        self.opened: Callable[[], None] = lambda: None  # set by a conversation of several connections

    def note(self, text: str) -> None:
        """Tell a person at a terminal what happened."""
        if not self.quiet:
            self.screen.note(text)

    def ping(self, latency: float) -> None:
        """Tell how long a ping took, in seconds."""
        text = f'ping {latency * 1000:.1f} ms'
        if self.screen.is_typed_at or self.quiet:
            self.note(text)
        else:
            say(text)

    def fail(self, error: UnusableFileError) -> None:
        """A file cannot be used, and so the connection is to be closed."""
        say(str(error))
        self.failed = True

    def status(self, normal: bool) -> int:
        """The exit status, where there was a connection."""
        if self.expired:
            say('the time was over')
            return EXIT_TIMEOUT
        if self.failed:
            return EXIT_FAILED
        if self.once and not self.received and normal:
            say('no message came')
            normal = False
        if not normal:
            return EXIT_ABNORMAL
        return EXIT_USAGE if self.input.refused else EXIT_OK


def hold(client: Client, session: Session, timeout: Optional[float] = None) -> int:
    """Hold one connection to its end, or until Ctrl-C; the exit status.

    :param timeout: seconds after which it is ended.
    """
    where = public(client.url)
    try:
        expire_after(timeout, session, functools.partial(client.close, 1001, 'Going away'))
        client.connect()
        threading.Thread(target=client.send_input, daemon=True).start()  # a read from a terminal cannot be called off
        client.wait()
    except (HandshakeError, OSError) as error:
        say(f'cannot connect to {where}: {"the time was over" if session.expired else error}')
        return EXIT_TIMEOUT if session.expired else EXIT_FAILED
    except KeyboardInterrupt:
        if not client.connected:
            say(f'interrupted while connecting to {where}')
            return EXIT_FAILED
        try:
            client.close(1001, 'Going away')
            client.wait()
        except KeyboardInterrupt:
            say('interrupted before the closing handshake was complete')
            return EXIT_ABNORMAL
    return client.report()


def wait_for(event: threading.Event) -> None:
    """Wait, but not so that Windows would keep Ctrl-C waiting too."""
    while not event.wait(1):
        pass


def expire_after(timeout: Optional[float], session: Session, leave: Callable[[], object]) -> None:
    """Call ``leave`` after so many seconds, if there is a timeout."""

    def expire() -> None:
        session.expired = True
        leave()

    if timeout is not None:
        timer = threading.Timer(timeout, expire)
        timer.daemon = True
        timer.start()


class Client(WebSocketClient):
    """One connection of the command line."""

    def __init__(self, *args: Any, session: Session, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = session
        self.connected = False
        self._over = threading.Event()
        self._result: tuple[int, str] = (1006, '')

    def opened(self) -> None:
        self.connected = True  # and so closed() will be called, which wait() waits for
        names = ''.join(f', subprotocol {name.decode("latin-1")}' for name in (self.protocols or ())[:1])
        names += ''.join(f', {name.decode("latin-1")}' for name in (self.extensions or ())[:1])
        self.session.note(f'connected to {public(self.url)}{names}; Ctrl-D closes')
        self.session.screen.prompt()
        self.session.opened()

    def received_message(self, message: Any) -> None:
        if self.session.once and self.closed_by_us:
            return  # more than the one message came before the close
        self.session.received = True
        try:
            self.session.output.message(message.data, message.is_binary)
        except OSError:  # nobody reads our output any more, as in `… | head -1`
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())  # what is left over goes there, also at the interpreter's own flush
            os.close(nowhere)
            self.close(1001, 'Going away')
        except UnusableFileError as error:
            self.session.fail(error)
            self.close(1001, 'Going away')
        if self.session.once:
            self.close(1000)

    def ponged(self, pong: Any) -> None:
        latency, self.latency = self.latency, None  # where it stays None, it was no answer to a ping of ours
        if latency is not None:
            self.session.ping(latency)

    def closed(self, code: int, reason: Any = None) -> None:
        text = reason.decode('utf-8', 'replace') if isinstance(reason, bytes) else str(reason or '')
        if code != 1006 or not self._result[1]:
            self._result = (code, text)
        self._over.set()

    def unhandled_error(self, error: Exception) -> None:
        self._result = (1006, str(error))  # closed() comes next and does not know it

    def send_input(self) -> None:
        """Send all of the input, then close with 1000; runs in a thread of its own."""
        try:
            for payload, binary in self.session.input:
                self.send(payload, binary)
                self.session.screen.prompt()
            if not self.session.once:
                self.close(1000)
        except UnusableFileError as error:
            self.session.fail(error)
            self.close(1001, 'Going away')
        except (RuntimeError, OSError):
            pass  # the connection ended meanwhile, and closed() says how

    def wait(self) -> None:
        """Wait for the end of the connection."""
        wait_for(self._over)

    def report(self) -> int:
        """Say how the connection ended and return the exit status."""
        code, reason = self._result
        normal = code in NORMAL_CODES
        text = f'closed with code {code}' + (f' ({reason})' if reason else '')
        self.session.screen.finish()
        if normal:
            self.session.note(text)
        else:
            say(text)
        return self.session.status(normal)


class Conversation:
    """What ``--reconnect`` gives: a conversation that goes on when the connection is lost. A second thread connects.

    The input is sent from the first connection on.
    """

    def __init__(self, make: Callable[[], Client], where: str, session: Session) -> None:
        self._where = where
        self._session = session
        self._reconnecting = Reconnecting(make, attempt=self._tell)
        self._failure: Optional[Exception] = None
        self._over = threading.Event()
        self._typing: Optional[threading.Thread] = None
        session.opened = self.opened

    def hold(self, timeout: Optional[float] = None) -> int:
        """Hold it to its end, or until Ctrl-C; the exit status.

        :param timeout: seconds after which it is ended.
        """
        try:
            expire_after(timeout, self._session, self._reconnecting.stop)
            threading.Thread(target=self._run, daemon=True).start()
            wait_for(self._over)
        except KeyboardInterrupt:
            self._reconnecting.stop()
            try:
                wait_for(self._over)
            except KeyboardInterrupt:
                say('interrupted before the closing handshake was complete')
                return EXIT_ABNORMAL
        client = self._reconnecting.client
        if client is None or not client.connected:
            cause = 'the time was over' if self._session.expired else self._failure or 'interrupted'
            say(f'cannot connect to {public(self._where)}: {cause}')
            return EXIT_TIMEOUT if self._session.expired else EXIT_FAILED
        status: int = client.report()
        return status

    def _run(self) -> None:
        try:
            self._reconnecting.run_forever()
        except (HandshakeError, OSError) as error:
            self._failure = error
        finally:
            self._over.set()

    def _tell(self, attempt: Attempt) -> None:
        if attempt.number and attempt.worthwhile:
            self._session.screen.finish()
            say(f'{attempt.cause}; connecting again in {attempt.delay:.1f} s')

    def opened(self) -> None:
        """There is a connection: the input can be sent from now on."""
        if self._typing is None:
            self._typing = threading.Thread(target=self._send_input, daemon=True)
            self._typing.start()

    def _send_input(self) -> None:
        for payload, binary in self._session.input:
            client = self._reconnecting.client
            try:
                client.send(payload, binary)
                self._session.screen.prompt()
            except UnusableFileError as error:
                self._session.fail(error)
                self._reconnecting.stop()
                return
            except (RuntimeError, OSError):
                what = 'line' if isinstance(payload, (str, bytes)) else 'file'
                say(f'there is no connection, the {what} was not sent')
        if not self._session.once:
            self._reconnecting.client.close(1000)
            self._reconnecting.stop()
