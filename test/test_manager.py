"""The manager on every poller, with real connections."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import socket
import subprocess
import sys
import textwrap
import threading
import time
import unittest
import warnings
import weakref
from pathlib import Path
from typing import Any
from unittest import mock

from helpers import TIMEOUT, Recorder, frame, needs_certificates, tls_pair, wait_for
from support_manager import QUICK, TICK, Echo, KQueueSelect, ManagerCase, Reader, reset, tcp_pair

import ws4py
from ws4py import manager as manager_module
from ws4py.framing import OPCODE_BINARY, OPCODE_CLOSE, OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.manager import FEW, EPollPoller, KQueuePoller, SelectPoller, WatchingPoller, WebSocketManager
from ws4py.messaging import PingControlMessage, TextMessage
from ws4py.outbox import BLOCK

MIB = 2**20
TIGHT = Limits(write_high_water=64 * 1024, write_limit=MIB, send_timeout=0.3, close_timeout=0.3)


class Client(Recorder):
    """The client's end of a connection."""

    _is_client = True


class Loud(Recorder):
    """Raises wherever it is told to."""

    def __init__(self, *args: Any, where: str) -> None:
        super().__init__(*args)
        self.where = where

    def hook(self, name: str) -> None:
        if self.where == name:
            raise ZeroDivisionError(name)

    def opened(self) -> None:
        super().opened()
        self.hook('opened')

    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.hook('received_message')

    def ponged(self, pong: Any) -> None:
        super().ponged(pong)
        self.hook('ponged')

    def unhandled_error(self, error: Exception) -> None:
        super().unhandled_error(error)
        self.hook('unhandled_error')

    def closed(self, code: int, reason: Any = None) -> None:
        super().closed(code, reason)
        self.hook('closed')


class Custom:
    """A poller with the four methods that suffice, and no way to watch for room."""

    timeout = TICK

    def __init__(self) -> None:
        self.inner = SelectPoller(TICK)
        self.register, self.unregister, self.release = self.inner.register, self.inner.unregister, self.inner.release

    def poll(self) -> Any:
        yield from self.inner.poll()


class Behaviour:
    """What a manager does whatever it polls with."""

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.manager.start()

    # The table

    def test_a_connection_comes_and_goes(self) -> None:
        websocket, peer = self.connect(Echo)
        self.assertEqual(websocket.calls, [('opened',)])
        self.assertIn(websocket, self.manager)
        self.assertEqual(len(self.manager), 1)
        self.assertEqual(list(self.manager), [websocket])
        self.assertEqual(self.manager.websockets, {websocket.sock.fileno(): websocket})
        peer.text('hello')
        self.assertEqual(peer.receive(), (0x81, b'hello'))
        peer.close(1000, b'bye')
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe8bye'))
        self.assert_ended(websocket, 1000)
        self.assertEqual(self.manager.websockets, {})

    def test_adding_twice_does_nothing(self) -> None:
        websocket, _ = self.connect()
        self.manager.add(websocket)
        self.assertEqual(websocket.calls, [('opened',)])
        self.assertEqual(len(self.manager), 1)

    def test_the_end_of_the_peer_without_a_close(self) -> None:
        websocket, peer = self.connect()
        peer.sock.close()
        self.assert_ended(websocket, 1006)

    def test_a_closed_socket_is_refused(self) -> None:
        websocket, _ = self.make()
        websocket.sock.close()
        with self.assertRaisesRegex(ValueError, 'is closed'):
            self.manager.add(websocket)
        websocket.sock = None
        with self.assertRaisesRegex(ValueError, 'is closed'):
            self.manager.add(websocket)
        self.assertEqual(len(self.manager), 0)

    def test_a_removed_connection_is_the_callers_again(self) -> None:
        websocket, peer = self.connect(Echo)
        self.assert_lives(websocket, peer)
        self.manager.remove(websocket)
        self.manager.remove(websocket)
        self.assertNotIn(websocket, self.manager)
        self.assertEqual(websocket.sock.gettimeout(), None)
        peer.text('later')
        self.assert_lives()  # a turn of the loop has passed
        self.assertEqual(websocket.named('message', 'closed'), [('message', b'alive?')])
        self.assertTrue(websocket.once())
        self.assertEqual(peer.receive(), (0x81, b'later'))
        self.manager.add(websocket)
        self.assert_lives(websocket, peer)

    def test_the_lock_may_be_held_while_a_sender_waits_for_a_peer_that_is_stuck(self) -> None:
        """The others are served meanwhile, connections come and go, and hooks in the loop may broadcast."""

        class Chat(Recorder):
            def received_message(chat, message: Any) -> None:
                self.manager.broadcast(message)

        stuck, _ = self.connect(limits=Limits(write_high_water=1024, write_limit=64 * MIB, send_timeout=TIMEOUT))
        _, chatter = self.connect(Chat)
        leaving, leaver = self.connect()
        stuck.send(bytes(MIB), binary=True)
        walking, results = threading.Event(), []

        def walk() -> None:
            with self.manager.lock:
                for websocket in self.manager.websockets.values():
                    walking.set()
                    try:
                        websocket.send('a walk')
                    except RuntimeError as error:
                        results.append(error)

        walker = threading.Thread(target=walk)
        walker.start()
        self.assertTrue(walking.wait(TIMEOUT))
        wait_for(lambda: stuck._changed is not None)  # it waits for room
        leaver.close()
        self.assert_ended(leaving, 1000)
        chatter.text('hello')
        self.assertEqual(chatter.receive(), (0x81, b'hello'))
        self.assert_lives()
        self.assertTrue(walker.is_alive())
        stuck.abort(1006, 'enough')
        self.assert_ended(stuck, 1006)
        walker.join(TIMEOUT)
        self.assertFalse(walker.is_alive())
        self.assertIn('not open', str(results[0]))

    def test_a_descriptor_that_was_closed_and_is_used_again(self) -> None:
        old, old_peer = self.connect()
        fd = old.sock.fileno()
        old.send(bytes(4 * MIB), binary=True)  # which is also watched for room
        old.sock.close()
        pair = socket.socketpair()
        ours, theirs = pair if pair[1].fileno() != fd else pair[::-1]
        new, peer = self.connect(Echo, pair=(ours if ours.fileno() == fd else _move(ours, fd), theirs))
        self.assertEqual(new.sock.fileno(), fd)
        self.assert_ended(old, 1006)
        self.assert_lives(new, peer)
        self.assertEqual(old.named('message'), [])
        self.assertEqual(self.manager.websockets, {fd: new})
        old_peer.sock.close()

    # opened()

    def test_bytes_that_were_read_with_the_handshake(self) -> None:
        websocket, peer = self.make(Echo)
        websocket.buf = frame(OPCODE_TEXT, b'one', masked=True) + frame(OPCODE_TEXT, b'two', masked=True) * 20_000
        self.manager.add(websocket)
        self.assertEqual([peer.receive() for _ in range(3)], [(0x81, b'one'), (0x81, b'two'), (0x81, b'two')])
        wait_for(lambda: len(websocket.named('message')) == 20_001)

    def test_a_descriptor_that_nobody_knows_is_polled_no_more(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        forgotten = threading.Event()
        poller, stranger = self.manager.poller, ours.fileno()
        unregister = poller.unregister

        def note(fd: int) -> None:
            unregister(fd)
            if fd == stranger:
                forgotten.set()

        with mock.patch.object(poller, 'unregister', note):
            poller.register(stranger)
            theirs.send(b'x')
            self.assertTrue(forgotten.wait(TIMEOUT))
        self.assert_lives()

    def test_the_connection_is_closed_in_opened(self) -> None:
        class Closes(Recorder):
            def opened(self) -> None:
                self.close(1000, 'not today')

        websocket, peer = self.connect(Closes)
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe8not today'))
        peer.close(1000)
        self.assert_ended(websocket, 1000)

    def test_the_connection_is_terminated_or_removed_in_opened(self) -> None:
        class Ends(Recorder):
            def opened(self) -> None:
                self.terminate()

        class Removes(Recorder):
            def opened(websocket) -> None:
                self.manager.remove(websocket)

        ended, peer = self.connect(Ends)
        self.assert_ended(ended, 1006)
        self.assertTrue(peer.at_end())
        removed, _ = self.connect(Removes)
        self.assertNotIn(removed, self.manager)
        self.assertEqual(removed.calls, [])
        self.assert_lives()

    def test_an_interrupt_in_opened_leaves_a_connection_that_works(self) -> None:
        class Interrupted(Echo):
            def opened(self) -> None:
                raise KeyboardInterrupt

        websocket, peer = self.make(Interrupted)
        with self.assertRaises(KeyboardInterrupt):
            self.manager.add(websocket)
        self.assert_lives(websocket, peer)

    def test_much_is_sent_in_opened_to_a_peer_that_reads(self) -> None:
        class Generous(Recorder):
            def opened(self) -> None:
                for _ in range(16):
                    self.send(bytes(MIB), binary=True)
                self.send(bytes(16 * MIB), binary=True)

        websocket, peer = self.make(Generous)
        reader = Reader(peer)
        self.manager.add(websocket)
        wait_for(lambda: len(reader.frames) == 17)
        self.assertEqual(reader.frames, [(0x82, MIB)] * 16 + [(0x82, 16 * MIB)])
        self.assertIn(websocket, self.manager)

    def test_the_peer_goes_while_opened_sends(self) -> None:
        """closed() waits until opened() has returned."""
        going = threading.Event()

        class Slow(Recorder):
            def opened(websocket) -> None:
                super().opened()
                websocket.send(bytes(7 * MIB), binary=True)
                reset(peer.sock)
                wait_for(lambda: websocket in self.manager._doomed)
                going.set()
                websocket.calls.append(('still here',))

        websocket, peer = self.make(Slow, pair=tcp_pair())
        self.manager.add(websocket)
        self.assertTrue(going.is_set())
        self.assert_ended(websocket, 1006)
        self.assertEqual(
            [call[0] for call in websocket.calls if call[0] != 'error'], ['opened', 'still here', 'closed']
        )

    def test_the_peer_goes_while_opened_waits_for_room(self) -> None:
        class Waiting(Recorder):
            limits = Limits(send_timeout=TIMEOUT)

            def opened(websocket) -> None:
                websocket.send(bytes(7 * MIB), binary=True)
                reset(peer.sock)
                websocket.send('there is no room')

        websocket, peer = self.make(Waiting, pair=tcp_pair())
        self.manager.add(websocket)
        self.assert_ended(websocket, 1006)
        self.assertEqual(self.logged('raised'), [])  # nor was it a timeout

    # Hooks that raise

    def test_a_hook_that_raises_closes_its_connection_with_1011(self) -> None:
        bystander, its_peer = self.connect(Echo)
        for where in ('opened', 'received_message', 'ponged'):
            with self.subTest(where):
                websocket, peer = self.make(Loud, where=where)
                self.manager.add(websocket)
                if where == 'ponged':
                    peer.pong(b'x')
                else:
                    peer.text('x')
                self.assertEqual(peer.receive(), (0x88, b'\x03\xf3'))
                peer.text('too late')
                peer.close(1000)
                peer.sock.close()
                self.assert_ended(websocket, 1011)
                self.assertNotIn(('message', b'too late'), websocket.calls)
                self.assertTrue(any(r.exc_info and r.exc_info[0] is ZeroDivisionError for r in self.logged('raised')))
                self.records.clear()
        self.assert_lives(bystander, its_peer)

    def test_closed_and_unhandled_error_may_raise_too(self) -> None:
        for where in ('closed', 'unhandled_error'):
            with self.subTest(where):
                websocket, peer = self.make(Loud, pair=tcp_pair(), where=where)
                self.manager.add(websocket)
                reset(peer.sock)
                self.assertTrue(websocket.over.wait(TIMEOUT))
                wait_for(lambda: self.logged('raised'))
                wait_for(lambda: websocket.sock is None)  # noqa: B023
                self.records.clear()
        self.assert_lives()

    def test_hooks_use_the_manager(self) -> None:
        """Add, remove, broadcast and close_all inside the loop."""
        new, new_peer = self.make(Echo)

        class Busy(Recorder):
            def received_message(websocket, message: Any) -> None:
                super().received_message(message)
                if message.data == b'add':
                    self.manager.add(new)
                    self.manager.broadcast('welcome')
                elif message.data == b'remove':
                    self.manager.remove(websocket)
                else:
                    self.manager.close_all(1000, 'all')

        websocket, peer = self.connect(Busy)
        peer.text('add')
        self.assertEqual(peer.receive(), (0x81, b'welcome'))
        self.assertEqual(new_peer.receive(), (0x81, b'welcome'))
        self.assert_lives(new, new_peer)
        peer.text('close')
        for end in (peer, new_peer):
            self.assertEqual(end.receive(), (0x88, b'\x03\xe8all'))
            end.close(1000)
        self.assert_ended(websocket, 1000)
        self.assert_ended(new, 1000)
        removed, peer = self.connect(Busy)
        peer.sock.sendall(frame(OPCODE_TEXT, b'remove', masked=True) + frame(OPCODE_CLOSE, b'\x03\xe8', masked=True))
        wait_for(lambda: removed not in self.manager)
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe8'))
        self.assert_lives()
        self.assertEqual(removed.named('closed'), [])  # it is not the manager's any more

    # Broadcast

    def test_broadcast_reaches_servers_and_clients(self) -> None:
        _, one = self.connect()
        _, two = self.connect()
        _, server = self.connect(Client)
        for payload, binary, first, expected in (
            ('text', False, 0x81, b'text'),
            ('text', True, 0x81, b'text'),
            (b'bytes', True, 0x82, b'bytes'),
            (b'bytes', False, 0x81, b'bytes'),
            (TextMessage('message'), False, 0x81, b'message'),
            (PingControlMessage('ping'), False, 0x89, b'ping'),
        ):
            self.manager.broadcast(payload, binary)
            for peer in (one, two, server):
                self.assertEqual(peer.receive(), (first, expected))
        self.manager.broadcast(iter(['a', 'b']))
        for peer in (one, two, server):
            self.assertEqual([peer.receive(), peer.receive()], [(0x01, b'a'), (0x80, b'b')])

    def test_broadcast_goes_through_a_send_of_the_applications_own(self) -> None:
        class Own(Recorder):
            def send(self, payload: Any, binary: bool = False) -> None:
                self.calls.append((payload, binary))
                raise OSError('what fails goes no further')

        websocket, _ = self.connect(Own)
        _, peer = self.connect()
        self.manager.broadcast('hello', True)
        self.assertEqual(websocket.calls, [('opened',), ('hello', True)])
        self.assertEqual(peer.receive(), (0x81, b'hello'))
        self.assertTrue(self.logged('a broadcast did not reach'))

    def test_a_number_closed_by_other_means_and_used_again(self) -> None:
        stale, _ = self.connect()
        fd = stale.sock.fileno()
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        websocket, peer = self.connect(Echo, pair=(_move(ours, fd), theirs))  # which closes what was there
        self.assertTrue(stale.over.wait(TIMEOUT))
        self.assert_lives(websocket, peer)

    def test_broadcast_waits_for_nobody_also_by_another_way(self) -> None:
        class Own(Recorder):
            def send(self, payload: Any, binary: bool = False) -> None:
                super().send(payload, binary)

        limits = Limits(write_high_water=1024, write_limit=4 * MIB, send_timeout=TIMEOUT)
        for make, message in ((Recorder, [b'a', b'b']), (Own, b'ab')):
            with self.subTest(make):
                websocket, _ = self.connect(make, limits=limits)
                websocket.send(bytes(MIB), True)
                self.manager.broadcast(message, True)
                self.assertIsNone(websocket._changed, 'it has waited')
        self.assertFalse(self.manager.in_loop())

    # Slow peers

    def test_one_stalled_peer_delays_nobody(self) -> None:
        for policy in ('disconnect', 'drop'):
            with self.subTest(policy):
                limits = Limits(write_high_water=64 * 1024, write_limit=MIB, slow_consumer=policy, close_timeout=0.3)
                stalled, stalled_peer = self.connect(limits=limits)
                others = [Reader(self.connect()[1]) for _ in range(8)]
                largest = 0
                for number in range(40):
                    self.manager.broadcast(f'{number} '.ljust(100_000))
                    largest = max(largest, stalled._queued)
                self.manager.broadcast('the end')
                for reader in others:
                    wait_for(lambda: reader.received(b'the end'))  # noqa: B023
                    self.assertEqual(len(reader.frames), 41)
                self.assertLessEqual(largest, MIB)
                if policy == 'disconnect':
                    self.assert_ended(stalled, 1006)
                    self.assertTrue(self.logged('slow consumer'))
                else:
                    received = Reader(stalled_peer)
                    wait_for(lambda: not stalled._queued)  # noqa: B023
                    self.manager.broadcast('again')
                    wait_for(lambda: received.received(b'again'))  # noqa: B023
                    self.assertLess(len(received.frames), 41)

    def test_a_peer_that_sends_and_never_reads_is_slowed_down(self) -> None:
        websocket, peer = self.connect(Echo, limits=TIGHT)
        peer.sock.settimeout(0.3)
        data = frame(OPCODE_BINARY, bytes(10_000), masked=True)
        sent, cut = 0, 0
        with contextlib.suppress(TimeoutError, socket.timeout):
            while sent < 2000:
                cut = 0
                while cut < len(data):
                    cut += peer.sock.send(data[cut:])
                sent += 1
        self.assertLess(sent, 1000)  # TCP has stopped it
        self.assertLessEqual(websocket._queued, TIGHT.write_high_water + 65536)
        self.assertIn(websocket, self.manager)
        peer.sock.settimeout(TIMEOUT)
        rest = threading.Thread(target=peer.sock.sendall, args=(data[cut:],))
        rest.start()
        for _ in range(sent + 1):
            self.assertEqual(peer.receive(), (0x82, bytes(10_000)))
        rest.join(TIMEOUT)
        self.assert_lives(websocket, peer)

    def test_a_sender_in_another_thread_waits_for_room(self) -> None:
        websocket, peer = self.connect(limits=Limits(write_high_water=64 * 1024, send_timeout=TIMEOUT))
        websocket.send(bytes(MIB), binary=True)
        sent = threading.Event()
        sender = threading.Thread(target=lambda: (websocket.send('behind'), sent.set()))
        sender.start()
        wait_for(lambda: websocket._changed is not None)
        self.assertFalse(sent.is_set())
        self.assertEqual(peer.receive(), (0x82, bytes(MIB)))
        self.assertEqual(peer.receive(), (0x81, b'behind'))
        sender.join(TIMEOUT)
        self.assertTrue(sent.is_set())

    def test_it_waits_for_its_send_timeout_at_most(self) -> None:
        websocket, peer = self.connect(limits=TIGHT)
        websocket.send(bytes(MIB), binary=True)
        begin = time.monotonic()
        with self.assertRaisesRegex(TimeoutError, '0.3 s, [0-9]+ bytes wait'):
            websocket.send('behind')
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(peer.receive(), (0x82, bytes(MIB)))  # nothing is broken by it
        websocket.send('again')
        self.assertEqual(peer.receive(), (0x81, b'again'))

    def test_large_echoes_behind_each_other(self) -> None:
        """The answer to the first is over every limit when the second is there already."""
        websocket, peer = self.make(Echo)
        size = 10 * MIB + BLOCK  # so that the last read is not of what is left of it only
        websocket.buf = frame(OPCODE_BINARY, bytes(size), masked=True) + frame(OPCODE_TEXT, b'and', masked=True) * 3
        self.manager.add(websocket)
        wait_for(lambda: websocket.named('message'))
        reader = Reader(peer)
        wait_for(lambda: len(reader.frames) == 4 or not reader.is_alive())
        self.assertEqual(reader.frames, [(0x82, size)] + [(0x81, b'and')] * 3)
        self.assert_lives(*self.connect(Echo))

    # Closing

    def test_close_all(self) -> None:
        pairs = [self.connect() for _ in range(3)]
        self.manager.close_all()
        for _, peer in pairs:
            self.assertEqual(peer.receive(), (0x88, b'\x03\xe9Server is shutting down'))
            peer.close(1001)
            self.assertTrue(peer.at_end())
        for websocket, _ in pairs:
            self.assert_ended(websocket, 1001)

    def test_closes_that_are_spread(self) -> None:
        pairs = [self.connect() for _ in range(5)]
        begin = time.monotonic()
        self.manager.close_all(4000, 'bye', spread=0.5)
        self.manager.stop()
        for number, (_, peer) in enumerate(pairs):
            self.assertEqual(peer.receive(), (0x88, b'\x0f\xa0bye'))
            self.assertGreaterEqual(time.monotonic() - begin, number * 0.1)
            peer.close(4000)
        self.manager.join(TIMEOUT)
        for websocket, _ in pairs:
            self.assert_ended(websocket, 4000)
        self.assertEqual(self.manager._leaving, {})

    def test_closes_that_are_spread_and_brought_forward(self) -> None:
        pairs = [self.connect() for _ in range(3)]
        self.manager.close_all(spread=3 * 3600)
        self.assertEqual(len(self.manager._leaving), 2)
        pairs[1][1].sock.close()
        self.assertTrue(pairs[1][0].over.wait(TIMEOUT))
        self.assertEqual(len(self.manager._leaving), 1, 'nobody waits for who has gone')
        self.manager.close_all()
        for _, peer in (pairs[0], pairs[2]):
            self.assertEqual(peer.receive()[0], 0x88)
            peer.close(1001)
        for websocket, _ in (pairs[0], pairs[2]):
            self.assert_ended(websocket, 1001)
        self.assertEqual(self.manager._leaving, {})

    def test_of_what_select_refuses_only_the_closed_one_is_to_be_read(self) -> None:
        poller = SelectPoller(0)
        self.addCleanup(poller.release)
        ours, theirs = socket.socketpair()
        gone = FEW - 1  # a number that nobody else gets in the meantime
        with ours, theirs:
            os.dup2(ours.fileno(), gone)
            for fd in (ours.fileno(), gone):
                poller.register(fd)
            os.close(gone)
            self.assertEqual(poller.poll(), [gone])

    def test_without_a_loop_nothing_is_put_off(self) -> None:
        manager = WebSocketManager()
        self.addCleanup(manager.stop)
        websockets = [mock.MagicMock() for _ in range(3)]
        for fd, websocket in enumerate(websockets):
            websocket.sock.fileno.return_value = 10_000 + fd
            with mock.patch.object(manager, 'poller'):
                manager.add(websocket)
        manager.close_all(spread=3600)
        for websocket in websockets:
            websocket.close.assert_called_once_with(code=1001, reason='Server is shutting down')

    def test_a_close_that_raises_does_not_keep_the_others(self) -> None:
        class Stubborn(Recorder):
            def close(self, code: int = 1000, reason: Any = '') -> None:
                raise ZeroDivisionError

        stubborn, _ = self.connect(Stubborn, limits=QUICK)
        websocket, peer = self.connect()
        self.manager.close_all()
        self.assertEqual(peer.receive()[0], 0x88)
        self.assertTrue(self.logged('could not be closed'))
        peer.close(1001)
        self.assert_ended(websocket, 1001)
        self.manager.stop()
        self.assert_ended(stubborn, 1006)

    def test_nothing_accepted_for_a_reading_peer_is_lost(self) -> None:
        pairs = [self.connect() for _ in range(3)]
        for websocket, _ in pairs:
            websocket.send(bytes(5 * MIB), binary=True)
        self.manager.close_all()
        self.manager.stop()
        readers = [Reader(peer) for _, peer in pairs]
        self.manager.join(TIMEOUT)
        for (websocket, _), reader in zip(pairs, readers):
            reader.join(TIMEOUT)
            self.assertEqual(reader.frames[0], (0x82, 5 * MIB))
            self.assertEqual(reader.frames[1][0], 0x88)
            self.assert_ended(websocket, 1001)

    def test_a_peer_that_closes_and_ends_its_half_still_gets_everything(self) -> None:
        websocket, peer = self.connect(pair=tcp_pair(), limits=Limits(write_high_water=8 * MIB))
        websocket.send(bytes(7 * MIB), binary=True)
        peer.close(1000, b'bye')
        peer.sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: self.manager._lingering.get(websocket) is False)
        self.assertEqual(peer.receive(), (0x82, bytes(7 * MIB)))
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe8bye'))
        self.assertTrue(peer.at_end())
        self.assert_ended(websocket, 1000)

    def test_a_peer_that_goes_for_good_while_much_waits(self) -> None:
        websocket, peer = self.connect(pair=tcp_pair(), limits=Limits(write_high_water=8 * MIB))
        websocket.send(bytes(7 * MIB), binary=True)
        peer.close(1000, b'bye')
        wait_for(lambda: websocket in self.manager._lingering)
        reset(peer.sock)
        self.assert_ended(websocket, 1000)

    def test_join_does_not_wait_for_peers_that_never_answer(self) -> None:
        silent = [self.connect(limits=QUICK)[0] for _ in range(5)]
        stuck, _ = self.connect(limits=QUICK)
        stuck.send(bytes(4 * MIB), binary=True)
        begin = time.monotonic()
        self.manager.close_all()
        self.manager.stop()
        self.manager.join(TIMEOUT)
        self.assertLess(time.monotonic() - begin, 3)
        for websocket in (*silent, stuck):
            self.assertEqual(len(websocket.named('closed')), 1)
            self.assertIsNone(websocket.sock)

    def test_stop_closes_what_is_open(self) -> None:
        websocket, peer = self.connect()
        self.manager.stop()
        self.assertFalse(self.manager.running)
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe9Server is shutting down'))
        late, _ = self.make()
        with self.assertRaisesRegex(RuntimeError, 'stopped'):
            self.manager.add(late)
        peer.close(1001)
        self.manager.join(TIMEOUT)
        self.assert_ended(websocket, 1001)
        self.manager.stop()
        self.manager.broadcast('to nobody')

    def test_flags_set_by_hand_do_not_keep_join(self) -> None:
        websocket, _ = self.connect(limits=QUICK)
        websocket.client_terminated = websocket.server_terminated = True
        self.manager.stop()
        self.manager.join(TIMEOUT)
        self.assert_ended(websocket, 1006)

    def test_stop_inside_the_loop(self) -> None:
        class Stops(Recorder):
            def received_message(websocket, message: Any) -> None:
                self.manager.close_all()
                self.manager.stop()

        websocket, peer = self.connect(Stops)
        peer.text('stop')
        self.assertEqual(peer.receive()[0], 0x88)
        peer.close(1001)
        self.manager.join(TIMEOUT)
        self.assert_ended(websocket, 1001)

    # Timers

    def test_heartbeats_pings_and_timeouts_need_no_threads(self) -> None:
        threads = set(threading.enumerate())
        beating, beat_peer = self.connect(heartbeat_freq=0.05)
        silent, ping_peer = self.connect(limits=Limits(ping_interval=0.05, ping_timeout=0.2))
        idle, idle_peer = self.connect(limits=Limits(idle_timeout=0.2, close_timeout=0.2))
        self.assertEqual([beat_peer.receive(), beat_peer.receive()], [(0x8A, b'beep')] * 2)
        self.assertEqual(ping_peer.receive()[0], 0x89)
        self.assertLessEqual(set(threading.enumerate()), threads)
        self.assert_ended(silent, 1011)
        self.assertEqual(idle_peer.receive()[0], 0x88)
        self.assert_ended(idle, 1001)
        self.assertIn(beating, self.manager)

    # TLS

    @needs_certificates
    def test_tls(self) -> None:
        websocket, peer = self.connect(Echo, pair=tls_pair(tcp_pair()))
        self.assert_lives(websocket, peer)
        for size in (MIB, 20_000):
            peer.binary(bytes(size))
            self.assertEqual(peer.receive(), (0x82, bytes(size)))
        peer.close(1000)
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe8'))
        self.assert_ended(websocket, 1000)

    @needs_certificates
    def test_bytes_that_wait_in_the_tls_layer(self) -> None:
        """One record holds many frames, and what is read at once is less than that."""
        websocket, peer = self.make(Echo, pair=tls_pair(tcp_pair()))
        websocket.reading_buffer_size = 16
        with mock.patch('ws4py.receiving.READ', 16):
            self.manager.add(websocket)
            peer.sock.sendall(frame(OPCODE_TEXT, b'0123456789', masked=True) * 500)
            for _ in range(500):
                self.assertEqual(peer.receive(), (0x81, b'0123456789'))

    # Nothing is left

    def test_nothing_is_left_of_a_connection(self) -> None:
        def live_and_die() -> weakref.ref[Any]:
            websocket, peer = self.make(Echo)
            self.manager.add(websocket)
            self.assert_lives(websocket, peer)
            peer.close()
            peer.receive()
            self.assert_ended(websocket, 1000)
            return weakref.ref(websocket)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always', ResourceWarning)
            reference = live_and_die()
            self.records.clear()  # whose tracebacks hold it
            wait_for(lambda: (gc.collect(), reference())[1] is None)
        self.assertEqual([str(w.message) for w in caught if issubclass(w.category, ResourceWarning)], [])


class EPollTest(Behaviour, ManagerCase):
    """On epoll."""

    def make_poller(self) -> Any:
        if not hasattr(select, 'epoll'):
            self.skipTest('no epoll here')
        return EPollPoller(TICK)


class SelectTest(Behaviour, ManagerCase):
    """On select."""

    def make_poller(self) -> Any:
        return SelectPoller(TICK)

    def test_a_socket_closed_behind_our_back_is_noticed(self) -> None:
        websocket, _ = self.connect()
        full, _ = self.connect(limits=TIGHT)
        full.send(bytes(MIB), binary=True)  # watched for room only
        websocket.sock.close()
        self.assert_ended(websocket, 1006)
        full.sock.close()
        self.assert_ended(full, 1006)
        self.assert_lives()


class KQueueTest(Behaviour, ManagerCase):
    """On kqueue, played on epoll."""

    def make_poller(self) -> Any:
        if not hasattr(select, 'epoll'):
            self.skipTest('kqueue is played on epoll')
        patch = mock.patch.object(manager_module, 'select', KQueueSelect())
        patch.start()
        self.addCleanup(patch.stop)
        return KQueuePoller(TICK)


class CustomTest(ManagerCase):
    """On a poller with four methods."""

    def make_poller(self) -> Any:
        return Custom()

    def test_sockets_block_and_the_rest_is_the_same(self) -> None:
        self.manager.start()
        websocket, peer = self.connect(Echo)
        self.assertIsNone(websocket.sock.gettimeout())
        self.assert_lives(websocket, peer)
        websocket.send('from another thread')
        self.assertEqual(peer.receive(), (0x81, b'from another thread'))
        peer.close(1000)
        self.assertEqual(peer.receive()[0], 0x88)
        self.assert_ended(websocket, 1000)
        silent, _ = self.connect(limits=QUICK)
        self.manager.stop()
        self.assert_ended(silent, 1006)

    def test_a_poller_that_fails_is_logged_and_polled_again(self) -> None:
        poll = self.manager.poller.poll
        failures = [OSError('once'), ValueError('twice')]
        self.manager.poller.poll = lambda: iter(poll()) if not failures else (_ for _ in ()).throw(failures.pop())
        self.manager.start()
        self.assert_lives()
        self.assertEqual(len(self.logged('the poller failed')), 2)

    def test_a_poller_that_refuses_a_socket(self) -> None:
        self.manager.start()
        self.assert_lives(*self.connect(Echo))  # the loop has registered what it needs for itself
        websocket, _ = self.make()
        with mock.patch.object(self.manager.poller, 'register', side_effect=OSError('no more')):
            with self.assertRaisesRegex(OSError, 'no more'):
                self.manager.add(websocket)
        self.assert_ended(websocket, 1006)


class LifeTest(ManagerCase):
    """Starting and stopping."""

    def test_the_best_poller(self) -> None:
        self.assertIsInstance(self.manager.poller, EPollPoller if hasattr(select, 'epoll') else WatchingPoller)
        api = KQueueSelect()
        with mock.patch.object(manager_module, 'select', api):
            if hasattr(select, 'epoll'):
                poller = manager_module.best_poller()
                self.assertIsInstance(poller, KQueuePoller)
                poller.release()
            with mock.patch.object(manager_module, 'select', mock.Mock(spec=['select'])):
                self.assertIsInstance(manager_module.best_poller(), SelectPoller)

    def test_running(self) -> None:
        self.assertFalse(self.manager.running)
        self.manager.start()
        self.assertTrue(self.manager.running)
        self.assertEqual(self.manager.name, 'WebSocketManager')
        with self.assertRaises(RuntimeError):
            self.manager.start()
        self.manager.stop()
        self.assertFalse(self.manager.running)
        self.manager.join(TIMEOUT)
        with self.assertRaisesRegex(RuntimeError, 'stopped'):
            self.manager.start()
        self.assertFalse(self.manager.running)

    def test_stop_right_after_start(self) -> None:
        for _ in range(50):
            manager = WebSocketManager()
            manager.start()
            manager.stop()
            manager.join(TIMEOUT)
            self.assertFalse(manager.is_alive() or manager.running)

    def test_it_may_run_in_a_thread_of_the_callers(self) -> None:
        thread = threading.Thread(target=self.manager.run)
        thread.start()
        wait_for(lambda: self.manager.running)
        self.assert_lives()
        self.manager._stopping = True  # it was not started, stop() would end it at once
        self.manager.running = False
        for websocket in self.manager:
            self.manager.drop(websocket)
        thread.join(TIMEOUT)
        self.assertFalse(thread.is_alive())

    def test_added_before_start(self) -> None:
        _, peer = self.connect(Echo)
        peer.text('early')
        self.manager.start()
        self.assertEqual(peer.receive(), (0x81, b'early'))

    def test_never_started(self) -> None:
        websocket, _ = self.connect()
        self.manager.stop()
        self.manager.stop()
        self.assert_ended(websocket, 1006)
        with self.assertRaisesRegex(RuntimeError, 'stopped'):
            self.manager.start()

    def test_an_object_that_is_no_websocket_is_ended_at_stop(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)

        class Own:
            def __init__(self) -> None:
                self.sock, self.calls = ours, []

            def opened(self) -> None:
                self.calls.append('opened')

            def once(self) -> bool:
                self.calls.append(self.sock.recv(10))
                return self.calls[-1] != b'raise' or 1 / 0

            def terminate(self) -> None:
                self.calls.append('terminate')
                self.sock.close()
                raise ZeroDivisionError

        own = Own()
        self.manager.add(own)
        self.manager.start()
        theirs.sendall(b'hello')
        wait_for(lambda: b'hello' in own.calls)
        self.manager.remove(own)
        self.manager.add(own)
        self.manager.stop()
        self.manager.join(TIMEOUT)
        self.assertEqual(own.calls, ['opened', b'hello', 'opened', 'terminate'])
        self.assertTrue(self.logged('could not be ended'))

    def test_an_own_object_that_raises(self) -> None:
        self.manager.start()
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        own = mock.MagicMock(sock=ours)
        own.once.side_effect = ZeroDivisionError
        own.terminate.side_effect = ours.close
        self.manager.add(own)
        theirs.sendall(b'x')
        wait_for(lambda: own.terminate.called)
        self.assertTrue(self.logged('raised'))
        self.assert_lives()

    def test_an_open_connection_is_not_ended_twice(self) -> None:
        self.manager.start()
        websocket, _ = self.connect()
        self.manager.drop(websocket)
        self.manager.drop(websocket)
        self.assert_ended(websocket, 1006)
        self.manager.watch(websocket)
        self.manager.forget(websocket)

    def test_an_event_of_one_that_has_gone_does_not_touch_its_successor(self) -> None:
        """The loop has looked the number up in vain; before it acts, another thread adds a connection with it."""
        websocket, peer = self.connect(Echo)
        self.manager._read_wakeup(websocket.sock.fileno())
        self.manager._write(-1)  # nobody at all
        self.manager.start()
        self.assert_lives(websocket, peer)

    def test_a_thousand_connections_leave_nothing(self) -> None:
        self.manager.start()
        _, witness = self.connect(Echo)
        self.assert_lives(None, witness)
        descriptors = _descriptors()
        threads = threading.active_count()
        for number in range(1000):
            ours, theirs = socket.socketpair()
            websocket = Recorder(ours)
            self.manager.add(websocket)
            if number % 2:
                theirs.sendall(b'\x81')  # in the middle of a frame
            theirs.close()
            if number % 100 == 99:
                wait_for(lambda: len(self.manager) == 1)
        wait_for(lambda: len(self.manager) == 1)
        self.assert_lives(None, witness)
        self.assertEqual(_descriptors(), descriptors)
        self.assertEqual(threading.active_count(), threads)
        self.assertEqual(len(self.manager._doomed) + len(self.manager._eager) + len(self.manager._lingering), 0)
        self.assertEqual(self.manager._clock._heap, [])

    @unittest.skipUnless(hasattr(os, 'fork'), 'there is no fork here')
    def test_a_child_process_refuses(self) -> None:
        script = """
            import os, socket, sys
            from ws4py.manager import WebSocketManager
            from ws4py.websocket import EchoWebSocket, WebSocket

            manager = WebSocketManager()
            ours, theirs = socket.socketpair()
            websocket = EchoWebSocket(ours)
            manager.add(websocket)
            child = os.fork()
            if not child:
                refused = 0
                for call in (
                    lambda: manager.add(WebSocket(socket.socket())),
                    lambda: manager.remove(websocket),
                    lambda: manager.broadcast('x'),
                    lambda: manager.close_all(),
                    lambda: manager.start(),
                    lambda: manager.run(),
                ):
                    try:
                        call()
                    except RuntimeError as error:
                        refused += str(os.getpid()) in str(error)
                manager.stop()
                manager.watch(websocket)
                manager.forget(websocket)
                os._exit(refused)
            status = os.waitpid(child, 0)[1]
            manager.start()
            theirs.sendall(bytes([0x81, 0x82, 0, 0, 0, 0]) + b'hi')
            theirs.settimeout(10)
            print(os.WEXITSTATUS(status), theirs.recv(10))
            theirs.close()
            manager.stop()
            manager.join()
        """
        path = os.pathsep.join([str(Path(ws4py.__file__).parent.parent), os.environ.get('PYTHONPATH', '')])
        done = subprocess.run(
            [sys.executable, '-c', textwrap.dedent(script)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT * 3,
            env={**os.environ, 'PYTHONPATH': path},
        )
        self.assertEqual(done.stdout, "6 b'\\x81\\x02hi'\n", done.stderr)

    def test_the_child_side_in_this_process(self) -> None:
        """The same for a manager of another process, where coverage sees it."""
        websocket, _ = self.connect()
        fd = websocket.sock.fileno()
        with mock.patch.object(self.manager, '_pid', -1):
            with self.assertRaisesRegex(RuntimeError, f'in process -1, make one of your own in {os.getpid()}'):
                self.manager.broadcast('x')
            self.manager.stop()
            self.manager.watch(websocket)
            self.manager.forget(websocket)
        self.assertEqual(self.manager.websockets, {fd: websocket})


class PollerTest(unittest.TestCase):
    """The pollers by themselves."""

    def pollers(self) -> Any:
        yield SelectPoller(TICK)
        if hasattr(select, 'epoll'):
            yield EPollPoller(TICK)
            with mock.patch.object(manager_module, 'select', KQueueSelect()):
                yield KQueuePoller(TICK)

    def setUp(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.fd = self.ours.fileno()

    def test_reading_and_writing(self) -> None:
        for poller in self.pollers():
            with self.subTest(type(poller).__name__):
                begin = time.monotonic()
                self.assertEqual(list(poller.poll()), [])
                self.assertGreaterEqual(time.monotonic() - begin, TICK / 2)
                poller.register(self.fd)
                poller.register(self.fd)
                self.assertEqual((list(poller.poll()), poller.writable()), ([], []))
                poller.watch(self.fd, read=True, write=True)
                self.assertEqual((list(poller.poll()), poller.writable()), ([], [self.fd]))
                self.theirs.sendall(b'x')
                self.assertEqual((list(poller.poll()), poller.writable()), ([self.fd], [self.fd]))
                poller.watch(self.fd, read=False, write=False)
                self.assertEqual((list(poller.poll()), poller.writable()), ([], []))
                poller.register(self.fd)
                self.assertEqual((list(poller.poll()), poller.writable()), ([self.fd], []))
                poller.unregister(self.fd)
                poller.unregister(self.fd)
                self.assertEqual((list(poller.poll()), poller.writable()), ([], []))
                self.ours.recv(1)
                poller.release()

    def test_a_closed_descriptor(self) -> None:
        for poller in self.pollers():
            with self.subTest(type(poller).__name__):
                ours, theirs = socket.socketpair()
                fd = ours.fileno()
                poller.register(fd)
                ours.close()
                theirs.close()
                self.assertLessEqual(set(poller.poll()), {fd})
                poller.unregister(fd)
                self.assertEqual(list(poller.poll()), [])
                with self.assertRaises((OSError, ValueError)):
                    poller.register(fd)
                    self.assertEqual(list(poller.poll()), [fd])
                    raise ValueError('select finds out when it polls')
                poller.release()

    def test_select_refuses_a_number_that_is_too_high(self) -> None:
        poller = SelectPoller(TICK)
        high = 5000
        try:
            os.dup2(self.fd, high)
        except OSError:
            self.skipTest('so many descriptors are not allowed here')
        self.addCleanup(os.close, high)
        try:
            select.select([high], [], [], 0)
        except ValueError:
            with self.assertRaises(ValueError):
                poller.register(high)
            poller.unregister(high)
            self.assertEqual(poller._fds, [])

    def test_select_with_nothing_but_writing(self) -> None:
        poller = SelectPoller(TICK)
        poller.watch(self.fd, read=False, write=True)
        self.assertEqual((poller.poll(), poller.writable()), ([], [self.fd]))


def _descriptors() -> int:
    """How many descriptors are open."""
    for path in ('/proc/self/fd', '/dev/fd'):
        with contextlib.suppress(OSError):
            return len(os.listdir(path))
    return 0


def _move(sock: socket.socket, fd: int) -> socket.socket:
    """The same socket on another descriptor."""
    os.dup2(sock.fileno(), fd)
    sock.close()
    return socket.socket(fileno=fd)
