"""Connections that greenlets drive, unpatched; in a process of their own also patched."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import unittest
from typing import Any, Callable

try:
    import gevent
except ImportError:
    raise unittest.SkipTest('gevent is not installed') from None

import gevent.event
import gevent.ssl
import support_tls
from gevent.monkey import get_original
from helpers import TIMEOUT, Client, Peer, Recorder, logs, needs_certificates, wait_for
from support_gevent import PATCHED, HubCase, HubThread, in_thread, run_patched

from ws4py.broadcasting import broadcast
from ws4py.framing import OPCODE_BINARY, OPCODE_TEXT
from ws4py.greenlets import GreenletDriver, hurry, wrap_tls
from ws4py.limits import Limits
from ws4py.sending import NotOpenError
from ws4py.websocket import EchoWebSocket

TEXT, BINARY, CLOSE, PING = 0x81, 0x82, 0x88, 0x89
LARGE = bytes(8_000_000)  # more than two sockets hold
SOME = bytes(700_000)  # the same, but the peer is still read from
real_sleep = get_original('time', 'sleep')


class Asking(Recorder):
    """Its hook waits until the test allows it to go on."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.allowed = gevent.event.Event()

    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.allowed.wait(TIMEOUT)
        self.calls.append(('went on',))


class Fragments:
    """A generator of chunks that lets others run before each one."""

    def __init__(self, name: bytes, count: int, pause: Callable[[], object]) -> None:
        self.name, self.count, self.pause = name, count, pause

    def __iter__(self) -> Any:
        for _ in range(self.count):
            self.pause()
            yield self.name * 10


class DriverCase(HubCase):
    def start(
        self, cls: Callable[..., Any] = Recorder, pair: Any = None, **limits: Any
    ) -> tuple[Any, Peer, GreenletDriver]:
        """A connection that a greenlet drives, its peer, and its driver."""
        ours, theirs = pair or socket.socketpair()
        self.addCleanup(theirs.close)
        ours = self.adopt(ours) if type(ours) is socket.socket else ours  # not TLS

        def make() -> tuple[Any, GreenletDriver, Any]:
            websocket = cls(ours)
            websocket.limits = Limits(**{'close_timeout': 2, **limits})
            driver = GreenletDriver(websocket)
            return websocket, driver, gevent.spawn(driver.run)

        websocket, driver, greenlet = self.hub.do(make)
        driver.greenlet = greenlet
        self.addCleanup(self.hub.do, greenlet.join, TIMEOUT)
        self.addCleanup(theirs.close)
        return websocket, Peer(theirs, masked=not websocket._is_client), driver

    def wait_for_sleeper(self, websocket: Any) -> None:
        wait_for(lambda: websocket._changed is not None and websocket._changed._sleepers)

    def reset(self, peer: Peer) -> None:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        peer.sock.close()

    def tcp(self) -> tuple[socket.socket, socket.socket]:
        with socket.create_server(('127.0.0.1', 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            return listener.accept()[0], theirs


class TalkTest(DriverCase):
    def test_from_opened_to_closed(self) -> None:
        websocket, peer, driver = self.start(EchoRecorder)
        peer.text('one')
        self.assertEqual(peer.receive(), (TEXT, b'one'))
        peer.sock.sendall(b'\x81\x82\0\0\0\0hi' * 1000)
        self.assertEqual([peer.receive() for _ in range(1000)], [(TEXT, b'hi')] * 1000)
        peer.ping(b'there?')
        self.assertEqual(peer.receive(), (0x8A, b'there?'))
        peer.close(1000, b'bye')
        self.assertEqual(peer.receive_all(), [(CLOSE, b'\x03\xe8bye')])
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls[:2], [('opened',), ('message', b'one')])
        self.assertEqual(websocket.calls[-1], ('closed', 1000, b'bye'))
        self.hub.do(driver.greenlet.join, TIMEOUT)
        self.assertIsNone(websocket.sock)
        self.assertTrue(driver.over)
        self.hub.do(driver.end)
        self.hub.do(driver.readable)
        self.hub.do(driver.writable)

    def test_what_came_behind_the_handshake(self) -> None:
        class Behind(EchoRecorder):
            def __init__(self, sock: Any) -> None:
                super().__init__(sock)
                self.reading_buffer_size = 10
                self.buf = b'\x81\x82\0\0\0\0hi' * 3

        _, peer, _ = self.start(Behind)
        self.assertEqual([peer.receive() for _ in range(3)], [(TEXT, b'hi')] * 3)

    def test_hooks_run_in_one_greenlet_and_may_wait(self) -> None:
        seen = set()

        class Seeing(EchoRecorder):
            def opened(self) -> None:
                gevent.sleep(0.01)
                seen.add(gevent.getcurrent())

            def received_message(self, message: Any) -> None:
                gevent.sleep(0.01)
                seen.add(gevent.getcurrent())
                super().received_message(message)

            def closed(self, code: int, reason: Any = None) -> None:
                gevent.sleep(0.01)
                seen.add(gevent.getcurrent())
                super().closed(code, reason)

        websocket, peer, driver = self.start(Seeing)
        peer.text('one')
        peer.text('two')
        self.assertEqual([peer.receive(), peer.receive()], [(TEXT, b'one'), (TEXT, b'two')])
        peer.close()
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(seen, {driver.greenlet})

    def test_one_connection_is_not_delayed_by_the_hook_of_another(self) -> None:
        busy, busy_peer, _ = self.start(Asking)
        busy_peer.text('one')
        wait_for(lambda: busy.named('message'))
        _, peer, _ = self.start(EchoRecorder)
        peer.text('quick')
        self.assertEqual(peer.receive(), (TEXT, b'quick'))
        self.assertFalse(busy.named('went on'))
        self.hub.do(busy.allowed.set)
        wait_for(lambda: busy.named('went on'))

    def test_exceptions_in_hooks(self) -> None:
        for hook, send in (
            ('opened', lambda peer: None),
            ('received_message', lambda peer: peer.text('one')),
            ('ponged', lambda peer: peer.pong(b'pong')),
        ):
            with self.subTest(hook), logs() as records:

                def fail(self: Any, *args: Any) -> None:
                    gevent.sleep(0)
                    raise KeyError('deliberate')

                websocket, peer, _ = self.start(type('Failing', (Recorder,), {hook: fail}))
                send(peer)
                self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
                peer.sock.close()
                self.assertTrue(websocket.over.wait(TIMEOUT))
                self.assertEqual(websocket.close_code, 1011)
                self.assertIn('KeyError', [r.exc_info[0].__name__ for r in records if r.exc_info])

    def test_a_timeout_in_a_hook(self) -> None:
        """It is no Exception, but a mistake of the hook's all the same."""
        for hook, send in (
            ('opened', lambda peer: None),
            ('received_message', lambda peer: peer.text('one')),
            ('closed', lambda peer: peer.close()),
        ):
            with self.subTest(hook), logs() as records:

                def fail(self: Any, *args: Any) -> None:
                    with gevent.Timeout(0.01):
                        gevent.sleep(100)

                websocket, peer, driver = self.start(type('Failing', (Recorder,), {hook: fail}))
                send(peer)
                self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8' if hook == 'closed' else b'\x03\xf3'))
                peer.sock.close()
                self.hub.do(driver.greenlet.join, TIMEOUT)
                self.assertTrue(driver.greenlet.successful())
                self.assertIsNone(websocket.sock)
                self.assertEqual(websocket.close_code, 1000 if hook == 'closed' else 1011)
                self.assertIn('Timeout', [r.exc_info[0].__name__ for r in records if r.exc_info])

    def test_an_exception_in_closed(self) -> None:
        class Failing(Recorder):
            def closed(self, code: int, reason: Any = None) -> None:
                super().closed(code, reason)
                raise KeyError('deliberate')

        with logs() as records:
            _, peer, driver = self.start(Failing)
            peer.close()
            self.assertEqual(peer.receive_all(), [(CLOSE, b'\x03\xe8')])
            self.hub.do(driver.greenlet.join, TIMEOUT)
        self.assertIn('closed() raised', [r.getMessage() for r in records])
        self.assertTrue(driver.greenlet.successful())

    def test_a_coroutine_function_is_refused(self) -> None:
        class Asynchronous(Recorder):
            async def received_message(self, message: Any) -> None:
                pass

        with logs() as records:
            _, peer, _ = self.start(Asynchronous)
            peer.text('one')
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
        self.assertIn('coroutine function', str(records[0].exc_info[1]))

    def test_killed(self) -> None:
        websocket, peer, driver = self.start()
        wait_for(lambda: websocket.calls)
        self.hub.do(driver.greenlet.kill)
        self.assertEqual(websocket.calls, [('opened',), ('closed', 1006, 'Going away')])
        self.assertTrue(peer.at_end())

    def test_terminated_by_another_greenlet(self) -> None:
        websocket, peer, driver = self.start()
        wait_for(lambda: driver._sleeping)
        self.hub.do(websocket.terminate)
        self.hub.do(driver.greenlet.join, TIMEOUT)
        self.assertTrue(driver.greenlet.dead)
        self.assertEqual(websocket.calls, [('opened',), ('closed', 1006, 'Going away')])
        self.assertTrue(peer.at_end())


class EchoRecorder(Recorder, EchoWebSocket):
    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.send(message.data, message.is_binary)


class EndTest(DriverCase):
    def test_fin(self) -> None:
        websocket, peer, _ = self.start()
        peer.sock.close()
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls, [('opened',), ('closed', 1006, 'Going away')])

    def test_fin_in_the_middle_of_a_frame(self) -> None:
        websocket, peer, _ = self.start()
        peer.sock.sendall(b'\x81\x85\0\0\0\0he')
        peer.sock.close()
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls, [('opened',), ('closed', 1006, 'Going away')])

    def test_rst(self) -> None:
        websocket, peer, _ = self.start(pair=self.tcp())
        wait_for(lambda: websocket.calls)
        self.reset(peer)
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.named('error', 'closed')[0], ('error', ConnectionResetError))
        self.assertEqual(websocket.close_code, 1006)

    def test_rst_while_a_hook_sends(self) -> None:
        class Sending(Recorder):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.send(LARGE, True)
                self.calls.append(('sent',))

        with logs() as records:
            websocket, peer, driver = self.start(Sending, pair=self.tcp())
            peer.text('one')
            wait_for(lambda: driver._senders)
            self.reset(peer)
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls, [('opened',), ('message', b'one'), ('closed', 1006, 'Going away')])
        self.assertEqual([r for r in records if r.levelname == 'ERROR'], [])

    def test_it_ends_when_its_hook_is_done(self) -> None:
        websocket, peer, _ = self.start(Asking)
        peer.text('one')
        wait_for(lambda: websocket.named('message'))
        websocket.abort(1001, 'enough')
        with self.assertRaises(NotOpenError):
            websocket.send('too late')
        self.hub.do(gevent.sleep, 0)
        self.assertFalse(websocket.named('closed'))
        self.hub.do(websocket.allowed.set)
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls[2:], [('went on',), ('closed', 1001, 'enough')])

    def test_dropped_by_its_own_hook(self) -> None:
        class Dropping(Recorder):
            def received_message(self, message: Any) -> None:
                self.abort(1001, 'enough')

        websocket, peer, _ = self.start(Dropping)
        peer.text('one')
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls, [('opened',), ('closed', 1001, 'enough')])

    def test_a_peer_that_does_not_answer_the_close(self) -> None:
        for close in (self.hub.do, lambda function: function()):  # in the hub's thread and in another one
            with self.subTest(close):
                websocket, peer, _ = self.start(close_timeout=0.1)
                close(websocket.close)
                self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8'))
                self.assertTrue(websocket.over.wait(TIMEOUT))
                self.assertEqual(websocket.close_code, 1006)

    def test_the_timer_is_cancelled_with_the_connection(self) -> None:
        websocket, peer, _ = self.start()
        websocket.close()
        timer = websocket._close_timer
        peer.receive()
        peer.close()
        self.assertTrue(websocket.over.wait(TIMEOUT))
        wait_for(lambda: timer._timer is None)
        self.assertEqual(websocket.close_code, 1000)

    def test_what_waits_goes_out_before_the_end(self) -> None:
        websocket, peer, driver = self.start()
        sending = self.hub.spawn(websocket.send, SOME, True)
        wait_for(lambda: driver._senders)
        peer.close()
        wait_for(lambda: websocket.terminated)
        self.assertEqual(peer.receive_all(), [(BINARY, SOME), (CLOSE, b'\x03\xe8')])
        sending.result(TIMEOUT)
        self.assertTrue(websocket.over.wait(TIMEOUT))

    def test_also_to_a_peer_that_has_ended_its_half(self) -> None:
        websocket, peer, driver = self.start()
        sending = self.hub.spawn(websocket.send, SOME, True)
        wait_for(lambda: driver._senders)
        peer.close()
        peer.sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: driver._deaf)
        self.assertEqual(peer.receive_all(), [(BINARY, SOME), (CLOSE, b'\x03\xe8')])
        sending.result(TIMEOUT)
        self.assertTrue(websocket.over.wait(TIMEOUT))

    def test_a_client_waits_for_the_server(self) -> None:
        websocket, peer, driver = self.start(Client)
        self.hub.do(websocket.close)
        self.assertEqual(peer.receive()[0], CLOSE)
        peer.close()
        wait_for(lambda: websocket.terminated)
        self.assertFalse(driver.over)
        peer.sock.close()
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.close_code, 1000)

    def test_a_silent_peer_is_noticed(self) -> None:
        websocket, peer, _ = self.start(ping_interval=0.05, ping_timeout=0.1)
        self.assertEqual(peer.receive()[0], PING)
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.close_code, 1011)

    def test_a_timer_that_was_cancelled_is_not_called(self) -> None:
        called = []
        _, _, driver = self.start()

        def cancel() -> None:
            timer = driver.call_later(0, lambda: called.append(1))
            timer._fire()  # it is due, and its greenlet about to run
            timer.cancel()
            gevent.sleep(0.01)

        self.hub.do(cancel)
        timer = driver.call_later(0, lambda: called.append(2))  # by this thread, before the hub has come round
        timer.cancel()
        self.hub.do(gevent.sleep, 0.02)
        self.assertEqual(called, [])

    def test_timers_may_wait(self) -> None:
        """A mistake, but it does not stop the hub."""
        _, _, driver = self.start()
        done = threading.Event()

        def wait() -> None:
            gevent.sleep(0.01)
            done.set()

        self.hub.do(driver.call_later, 0, wait)
        self.assertTrue(done.wait(TIMEOUT))

    @unittest.skipIf(PATCHED, 'there is only one hub')
    def test_a_hub_that_is_gone(self) -> None:
        with HubThread() as other:
            ours, theirs = socket.socketpair()
            self.addCleanup(theirs.close)

            def make() -> GreenletDriver:
                websocket = Recorder(gevent.socket.socket(ours.family, ours.type, fileno=ours.detach()))
                driver = GreenletDriver(websocket)
                gevent.spawn(driver.run)
                theirs.close()
                assert websocket.over.wait(0) or gevent.sleep(0.01) is None
                return driver

            driver = other.do(make)
            wait_for(lambda: driver.over)
        driver.call_soon(lambda: self.fail('there is no hub'))


class SendTest(DriverCase):
    def test_a_send_is_on_the_wire_when_it_returns(self) -> None:
        websocket, peer, driver = self.start()
        sending = self.hub.spawn(websocket.send, LARGE, True)
        wait_for(lambda: driver._senders)
        self.assertFalse(sending.done())
        self.assertEqual(peer.receive(), (BINARY, LARGE))
        sending.result(TIMEOUT)
        self.assertEqual(websocket._queued, 0)

    def test_unless_the_connection_ends(self) -> None:
        websocket, _, driver = self.start()
        sending = self.hub.spawn(websocket.send, LARGE, True)
        wait_for(lambda: driver._senders)
        with logs():
            websocket.abort(1006, 'enough')
            with self.assertRaisesRegex(NotOpenError, 'has ended before everything was sent'):
                sending.result(TIMEOUT)
        self.assertTrue(websocket.over.wait(TIMEOUT))

    def test_another_thread_goes_on(self) -> None:
        websocket, peer, _ = self.start()
        in_thread(websocket.send, LARGE, True).result(TIMEOUT)
        self.assertGreater(websocket._queued, 0)
        self.assertEqual(peer.receive(), (BINARY, LARGE))
        wait_for(lambda: not websocket.watched[0])

    def test_a_busy_hook_holds_nothing_back(self) -> None:
        websocket, peer, _ = self.start(Asking)
        peer.text('one')
        wait_for(lambda: websocket.named('message'))
        sending = self.hub.spawn(websocket.send, LARGE, True)
        self.assertEqual(peer.receive(), (BINARY, LARGE))
        sending.result(TIMEOUT)
        self.assertFalse(websocket.named('went on'))
        self.hub.do(websocket.allowed.set)

    def test_a_peer_that_does_not_read_is_not_read_from(self) -> None:
        websocket, peer, driver = self.start(EchoRecorder, write_high_water=100_000)
        in_thread(websocket.send, LARGE, True).result(TIMEOUT)
        wait_for(lambda: not driver._reads)
        for _ in range(3):
            peer.text('hello')
        self.hub.do(gevent.sleep, 0.01)
        self.assertFalse(websocket.named('message'))
        self.assertEqual(peer.receive(), (BINARY, LARGE))
        self.assertEqual([peer.receive() for _ in range(3)], [(TEXT, b'hello')] * 3)

    def test_a_slow_peer_and_a_quick_one(self) -> None:
        """Two servers' hooks, one of them stuck in a send."""
        _, slow_peer, driver = self.start(EchoRecorder)
        slow_peer.binary(LARGE)
        wait_for(lambda: driver._senders)
        _, peer, _ = self.start(EchoRecorder)
        for _ in range(20):
            peer.text('quick')
            self.assertEqual(peer.receive(), (TEXT, b'quick'))
        self.assertEqual(slow_peer.receive(), (BINARY, LARGE))

    def test_nobody_waits_in_the_hub(self) -> None:
        websocket, peer, _ = self.start(write_high_water=100_000, write_limit=20_000_000)
        answered = threading.Event()

        def send() -> None:
            for _ in range(2):
                websocket.send(LARGE, True)
            answered.set()

        self.hub.hub.loop.run_callback_threadsafe(send)
        self.assertTrue(answered.wait(TIMEOUT))
        self.assertEqual([peer.receive(), peer.receive()], [(BINARY, LARGE)] * 2)

    def test_nor_in_a_hurry(self) -> None:
        websocket, peer, _ = self.start(write_high_water=100_000, write_limit=20_000_000)

        def send() -> None:
            with hurry():
                with hurry():  # of a hook that broadcasts itself
                    websocket.send(LARGE, True)
                websocket.send(LARGE, True)

        self.hub.do(send)
        self.assertEqual([peer.receive(), peer.receive()], [(BINARY, LARGE)] * 2)

    def test_a_slow_consumer_is_dropped_by_a_broadcast(self) -> None:
        slow, _, _ = self.start(write_high_water=10_000, write_limit=100_000)
        quick, peer, _ = self.start()

        def send() -> None:
            for number in range(50):
                broadcast([slow, quick], bytes([number]) * 50_000, binary=True)
                gevent.sleep(0)

        with logs():
            sending = self.hub.spawn(send)
            for number in range(50):
                self.assertEqual(peer.receive(), (BINARY, bytes([number]) * 50_000))
            sending.result(TIMEOUT)
            self.assertTrue(slow.over.wait(TIMEOUT))
        self.assertIn('slow consumer', str(slow.close_reason))

    def test_messages_of_greenlets_and_threads_never_mix(self) -> None:
        websocket, peer, _ = self.start()
        names = b'abcdef'
        count = 30

        def send(name: bytes, pause: Callable[[], object]) -> None:
            for _ in range(5):
                websocket.send(Fragments(name, count, pause))
                websocket.send(name)

        sending = [self.hub.spawn(send, bytes([name]), lambda: gevent.sleep(0)) for name in names[:4]]
        sending += [in_thread(send, bytes([name]), lambda: real_sleep(0.0001)) for name in names[4:]]
        received = []
        while len(received) < 10 * len(names):
            first, payload = peer.receive()
            self.assertEqual(first & 15, OPCODE_TEXT)
            while not first & 0x80:
                first, more = peer.receive()
                self.assertEqual(first & 15, 0)
                payload += more
            received.append(payload)
        expected = [bytes([name]) * size for name in names for size in (10 * count, 1) * 5]
        self.assertEqual(sorted(received), sorted(expected))
        for future in sending:
            future.result(TIMEOUT)

    def test_room_is_waited_for(self) -> None:
        """By a greenlet and by a thread, each in its own way."""
        for call in (self.hub.spawn, in_thread):
            with self.subTest(call):
                websocket, peer, _ = self.start(write_high_water=100_000)
                in_thread(websocket.send, LARGE, True).result(TIMEOUT)
                sending = call(websocket.send, 'next')
                self.wait_for_sleeper(websocket)
                self.assertEqual(peer.receive(), (BINARY, LARGE))
                self.assertEqual(peer.receive(), (TEXT, b'next'))
                sending.result(TIMEOUT)

    def test_but_not_for_ever(self) -> None:
        for call in (self.hub.spawn, in_thread):
            with self.subTest(call):
                websocket, _, _ = self.start(write_high_water=100_000, send_timeout=0.05)
                in_thread(websocket.send, LARGE, True).result(TIMEOUT)
                with self.assertRaises(TimeoutError):
                    call(websocket.send, 'next').result(TIMEOUT)
                self.assertEqual(websocket._changed._sleepers, [])

    def test_who_waits_hears_of_the_end(self) -> None:
        for call in (self.hub.spawn, in_thread):
            with self.subTest(call):
                websocket, _, _ = self.start(write_high_water=100_000)
                in_thread(websocket.send, LARGE, True).result(TIMEOUT)
                sending = call(websocket.send, 'next')
                self.wait_for_sleeper(websocket)
                with logs():
                    self.hub.do(websocket.abort, 1006, 'enough')
                    with self.assertRaises(NotOpenError):
                        sending.result(TIMEOUT)


@needs_certificates
class TLSTest(DriverCase):
    def tls(self, context: ssl.SSLContext) -> tuple[Any, Any]:
        ours, theirs = self.tcp()
        ours = self.adopt(ours)
        handshake = self.hub.spawn(wrap_tls, context, ours, server_side=True)
        theirs.settimeout(TIMEOUT)
        theirs = support_tls.client_context().wrap_socket(theirs, server_hostname='localhost')
        return handshake.result(TIMEOUT), theirs

    def test_talk(self) -> None:
        websocket, peer, _ = self.start(EchoRecorder, pair=self.tls(support_tls.server_context()))
        self.assertTrue(websocket._is_secure)
        for payload in (b'x', bytes(100_000), LARGE):
            peer.send(OPCODE_BINARY, payload)
            self.assertEqual(peer.receive(), (BINARY, payload))
        peer.sock.sendall(b'\x81\x82\0\0\0\0hi' * 3000)  # two records, more than one read
        self.assertEqual([peer.receive() for _ in range(3000)], [(TEXT, b'hi')] * 3000)
        peer.close()
        self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8'))
        self.assertTrue(websocket.over.wait(TIMEOUT))

    def test_a_context_of_gevent(self) -> None:
        context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*support_tls.certificate_files())
        _, peer, _ = self.start(EchoRecorder, pair=self.tls(context))
        peer.text('hello')
        self.assertEqual(peer.receive(), (TEXT, b'hello'))

    def test_no_tls(self) -> None:
        ours, theirs = self.tcp()
        self.addCleanup(theirs.close)
        ours = self.adopt(ours)
        theirs.sendall(b'GET / HTTP/1.1\r\n\r\n')
        with self.assertRaises(OSError):
            self.hub.do(wrap_tls, support_tls.server_context(), ours, server_side=True)


@unittest.skipIf(PATCHED, 'that is the case already')
class PatchedTest(unittest.TestCase):
    def test_everything_patched(self) -> None:
        """The same tests, where locks and conditions are gevent's, and threads are greenlets, but for real ones."""
        run_patched('test_greenlets')


if __name__ == '__main__':
    unittest.main()
