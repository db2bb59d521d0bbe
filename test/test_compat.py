"""The names of ws4py 0.x are still there and still do what they did."""

from __future__ import annotations

import socket
import unittest
import urllib.parse

from ws4py import compat


class CompatTest(unittest.TestCase):
    def test_names(self) -> None:
        self.assertIs(compat.py3k, True)
        self.assertIs(compat.unicode, str)
        self.assertIsInstance('a', compat.basestring)
        self.assertIsInstance(b'a', compat.basestring)
        self.assertEqual(list(compat.range(3)), [0, 1, 2])
        self.assertIs(compat.urlsplit, urllib.parse.urlsplit)
        for name in compat.__all__:
            self.assertTrue(hasattr(compat, name), name)

    def test_ord(self) -> None:
        self.assertEqual([compat.ord('é'), compat.ord(b'\xff'), compat.ord(b'a'[0])], [0xE9, 0xFF, 0x61])
        with self.assertRaises(TypeError):
            compat.ord('ab')

    def test_the_socket_of_a_file(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            for buffering in (-1, 0):
                with ours.makefile('rb', buffering) as fileobj:
                    self.assertIs(compat.get_connection(fileobj), ours)

    def test_a_detached_file_leaves_the_socket_open(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            fileobj = ours.makefile('rb')
            connection = compat.get_connection(fileobj)
            compat.detach_connection(fileobj)
            del fileobj
            theirs.sendall(b'still here')
            self.assertEqual(connection.recv(100), b'still here')


if __name__ == '__main__':
    unittest.main()
