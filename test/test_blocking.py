"""Two threads on one TLS socket, on real sockets with real certificates."""

from __future__ import annotations

import os
import random
import select
import socket
import ssl
import threading
import unittest
from typing import Any, Callable, Optional
from unittest import mock

import support_tls
from helpers import TIMEOUT, needs_certificates, tls_pair, wait_for

from ws4py.blocking import RECORD, has_room, recv_tls, sendall_tls, wait

SIZE = 3_000_000  # bytes, more than all buffers between two ends hold


class Waiting(unittest.TestCase):
    def setUp(self) -> None:
        self.ours, self.peer = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.peer.close)
        self.ours.setblocking(False)

    def fill(self) -> None:
        with self.assertRaises(BlockingIOError):
            while True:
                self.ours.send(bytes(65536))

    def check(self) -> None:
        self.assertFalse(wait(self.ours, write=False, timeout=0))
        self.assertFalse(wait(self.ours, write=False, timeout=0.01))
        self.assertTrue(wait(self.ours, write=True, timeout=None))
        self.assertTrue(has_room(self.ours))
        self.peer.send(b'.')
        self.assertTrue(wait(self.ours, write=False, timeout=None))
        self.fill()
        self.assertFalse(wait(self.ours, write=True, timeout=0))
        self.assertFalse(has_room(self.ours))

    @unittest.skipUnless(hasattr(select, 'poll'), 'there is no poll here')
    def test_with_poll(self) -> None:
        self.check()

    def test_with_select_where_there_is_no_poll(self) -> None:
        with mock.patch.object(select, 'poll', create=True):
            del select.poll
            self.check()

    def test_a_socket_that_another_thread_has_closed(self) -> None:
        self.ours.close()
        for write in (False, True):
            with self.subTest(write=write), self.assertRaisesRegex(OSError, 'cannot be waited for'):
                wait(self.ours, write, timeout=0)

    def test_a_write_of_tls_may_have_to_read_first(self) -> None:
        class Rekeying:
            """What OpenSSL does when the peer asks for new keys, which the ssl module cannot."""

            def __init__(self, sock: socket.socket) -> None:
                self.fileno = sock.fileno
                self.setblocking = sock.setblocking
                self.sent: list[bytes] = []
                self.asks = [ssl.SSLWantReadError]

            def send(self, data: memoryview) -> int:
                if self.asks:
                    raise self.asks.pop()
                self.sent.append(bytes(data))
                return len(data)

        self.peer.send(b'the new keys')
        sock: Any = Rekeying(self.ours)
        sendall_tls(sock, b'message', threading.Lock())
        self.assertEqual(sock.sent, [b'message'])

    def test_a_closed_socket_has_no_room(self) -> None:
        self.assertFalse(has_room(None))
        self.ours.close()
        self.assertFalse(has_room(self.ours))


class Worker(threading.Thread):
    """Calls something in a thread and keeps what comes of it."""

    def __init__(self, target: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.call = target
        self.result: Any = None
        self.error: Optional[BaseException] = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.call()
        except BaseException as error:
            self.error = error

    def outcome(self) -> Any:
        self.join(TIMEOUT)
        assert not self.is_alive(), 'it hangs'
        if self.error is not None:
            raise self.error
        return self.result


@needs_certificates
class TLS(unittest.TestCase):
    def pair(self) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
        pair = tls_pair()
        for sock in pair:
            self.addCleanup(sock.close)
        return pair

    def test_readers_and_writers_at_once_with_both_directions_full(self) -> None:
        """Both ends first write, and read only when nothing fits any more: with one lock around a blocking call they
        would wait for each other for ever."""
        data = random.Random(2).getrandbits(8 * SIZE).to_bytes(SIZE, 'big')
        ends = [(sock, threading.Lock()) for sock in self.pair()]
        writers = [Worker(lambda sock=sock, lock=lock: sendall_tls(sock, data, lock)) for sock, lock in ends]  # type: ignore[misc]
        wait_for(lambda: not any(has_room(sock) for sock, _ in ends))
        self.assertTrue(all(writer.is_alive() for writer in writers))

        def read_all(sock: ssl.SSLSocket, lock: threading.Lock) -> bytes:
            received = bytearray()
            while len(received) < SIZE:
                received += recv_tls(sock, 65536, lock, TIMEOUT)
            return bytes(received)

        readers = [Worker(lambda sock=sock, lock=lock: read_all(sock, lock)) for sock, lock in ends]  # type: ignore[misc]
        for reader in readers:
            self.assertEqual(reader.outcome(), data)
        for writer in writers:
            writer.outcome()

    def test_records_that_have_come_together_are_read_together(self) -> None:
        ours, peer = self.pair()
        data = random.Random(3).getrandbits(8 * 50_000).to_bytes(50_000, 'big')
        for size, sizes in ((65536, [50_000]), (20_000, [20_000, 20_000, 10_000]), (RECORD, [RECORD] * 3 + [848])):
            peer.sendall(data)
            pieces = [recv_tls(ours, size, threading.Lock(), TIMEOUT) for _ in sizes]
            # What is left of a record that was cut is read by itself, as it may be the last.
            while sum(map(len, pieces)) < len(data):
                pieces.append(recv_tls(ours, size, threading.Lock(), TIMEOUT))
            self.assertEqual(b''.join(pieces), data)
            self.assertEqual(len(pieces[0]), sizes[0])
            self.assertTrue(all(len(piece) <= size for piece in pieces))

    def test_nothing_behind_a_full_record(self) -> None:
        ours, peer = self.pair()
        peer.sendall(bytes(RECORD))
        self.assertEqual(recv_tls(ours, 65536, threading.Lock(), TIMEOUT), bytes(RECORD))

    def test_the_end_behind_a_full_record(self) -> None:
        for ragged in (True, False):
            with self.subTest(suppress_ragged_eofs=ragged):
                ours, peer = self.pair()
                ours.suppress_ragged_eofs = ragged
                peer.sendall(bytes(RECORD))
                socket.socket.shutdown(peer, socket.SHUT_WR)
                self.assertEqual(recv_tls(ours, 65536, threading.Lock(), TIMEOUT), bytes(RECORD))
                self.assertEqual(recv_tls(ours, 65536, threading.Lock(), TIMEOUT), b'')

    def test_what_is_wrong_behind_a_full_record(self) -> None:
        ours, peer = self.pair()
        peer.sendall(bytes(RECORD))
        with socket.socket(fileno=os.dup(peer.fileno())) as plain:
            plain.sendall(b'\x17\x03\x03\x00\x20' + bytes(32))
        with self.assertRaises(ssl.SSLError):
            recv_tls(ours, 65536, threading.Lock(), TIMEOUT)

    def test_the_end(self) -> None:
        ours, peer = self.pair()
        socket.socket.shutdown(peer, socket.SHUT_WR)
        self.assertEqual(recv_tls(ours, 100, threading.Lock(), TIMEOUT), b'')

    def test_the_end_without_a_word_is_an_end_also_where_ssl_would_raise(self) -> None:
        ours, peer = self.pair()
        ours.suppress_ragged_eofs = False
        socket.socket.shutdown(peer, socket.SHUT_WR)
        self.assertEqual(recv_tls(ours, 100, threading.Lock(), TIMEOUT), b'')

    def test_nothing_within_the_timeout(self) -> None:
        ours, _ = self.pair()
        with self.assertRaisesRegex(TimeoutError, r'nothing was received within 0\.02 s'):
            recv_tls(ours, 100, threading.Lock(), 0.02)

    def test_a_peer_that_is_gone_is_an_error_of_the_writer(self) -> None:
        ours, peer = self.pair()
        peer.close()
        with self.assertRaises(OSError):
            sendall_tls(ours, bytes(SIZE), threading.Lock())

    def test_a_writer_waits_for_the_handshake_when_tls_has_to_read(self) -> None:
        ours, theirs = socket.socketpair()
        client = support_tls.client_context().wrap_socket(
            ours, server_hostname='localhost', do_handshake_on_connect=False
        )
        server = support_tls.server_context().wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        writer = Worker(lambda: sendall_tls(client, b'early', threading.Lock()))
        server.settimeout(TIMEOUT)
        server.do_handshake()
        self.assertEqual(server.recv(100), b'early')
        writer.outcome()

    def test_a_reader_waits_for_room_when_tls_has_to_write(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        filled = 0
        try:
            while True:
                filled += ours.send(bytes(65536))
        except BlockingIOError:
            pass
        client = support_tls.client_context().wrap_socket(
            ours, server_hostname='localhost', do_handshake_on_connect=False
        )
        self.addCleanup(client.close)
        tried = threading.Event()

        class Lock:
            def __enter__(self) -> None:
                pass

            def __exit__(self, *exc_info: object) -> None:
                tried.set()

        reader = Worker(lambda: recv_tls(client, 100, Lock(), TIMEOUT))  # type: ignore[arg-type]
        self.assertTrue(tried.wait(TIMEOUT))
        theirs.settimeout(TIMEOUT)
        while filled:
            filled -= len(theirs.recv(min(filled, 65536)))
        server = support_tls.server_context().wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)
        self.addCleanup(server.close)
        server.do_handshake()
        server.sendall(b'late')
        self.assertEqual(reader.outcome(), b'late')

    def test_a_shut_socket_wakes_a_writer(self) -> None:
        ours, _ = self.pair()
        lock = threading.Lock()
        writer = Worker(lambda: sendall_tls(ours, bytes(SIZE), lock))
        wait_for(lambda: not has_room(ours))
        with lock:
            ours.shutdown(socket.SHUT_RDWR)
        with self.assertRaises(OSError):
            writer.outcome()


if __name__ == '__main__':
    unittest.main()
