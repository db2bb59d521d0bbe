"""What ``import ws4py`` gives: the constants, the logger and the addresses of a connection in a log line."""

from __future__ import annotations

import contextlib
import io
import logging
import logging.handlers
import os
import subprocess
import sys
import tempfile
import unittest
from types import SimpleNamespace

import ws4py


class PackageTest(unittest.TestCase):
    def test_constants(self) -> None:
        self.assertEqual(ws4py.WS_KEY, b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
        self.assertEqual(ws4py.WS_VERSION, (8, 13))
        self.assertEqual(ws4py.__version__, '1.0.0')
        self.assertEqual(sorted(ws4py.__all__), ['WS_KEY', 'WS_VERSION', 'configure_logger', 'format_addresses'])

    def test_importing_it_loads_no_other_module_of_the_package(self) -> None:
        code = 'import sys, ws4py; print([name for name in sys.modules if name.startswith("ws4py")])'
        root = os.path.dirname(os.path.dirname(ws4py.__file__))
        result = subprocess.run([sys.executable, '-c', code], cwd=root, stdout=subprocess.PIPE, check=True, timeout=60)
        self.assertEqual(result.stdout.decode().strip(), "['ws4py']")


class ConfigureLoggerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.logger = logging.getLogger('ws4py')
        self.before = self.logger.handlers[:], self.logger.level
        self.logger.handlers[:] = []

    def tearDown(self) -> None:
        for handler in self.logger.handlers:
            handler.close()
        self.logger.handlers[:] = self.before[0]
        self.logger.setLevel(self.before[1])

    def test_stdout(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            logger = ws4py.configure_logger()
        self.assertIs(logger, self.logger)
        self.assertEqual((logger.level, [handler.level for handler in logger.handlers]), (logging.INFO, [logging.INFO]))
        self.assertIs(type(logger.handlers[0]), logging.StreamHandler)
        logger.debug('hidden')
        logger.info('shown')
        self.assertIn('INFO shown\n', out.getvalue())
        self.assertNotIn('hidden', out.getvalue())

    def test_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'ws4py.log')
            logger = ws4py.configure_logger(stdout=False, filepath=path, level=logging.DEBUG)
            (handler,) = logger.handlers
            self.assertIs(type(handler), logging.handlers.RotatingFileHandler)
            self.assertEqual((logger.level, handler.level), (logging.DEBUG, logging.DEBUG))
            logger.debug('written')
            handler.close()
            with open(path) as written:
                self.assertIn('DEBUG written\n', written.read())

    def test_nothing(self) -> None:
        logger = ws4py.configure_logger(stdout=False, level=logging.ERROR)
        self.assertEqual((logger.handlers, logger.level, logger.name), ([], logging.ERROR, 'ws4py'))


class FormatAddressesTest(unittest.TestCase):
    def format(self, local: object, peer: object) -> str:
        return ws4py.format_addresses(SimpleNamespace(local_address=local, peer_address=peer))

    def test_two_pairs(self) -> None:
        text = self.format(('127.0.0.1', 52300), ('127.0.0.1', 4800))
        self.assertEqual(text, '[Local => 127.0.0.1:52300 | Remote => 127.0.0.1:4800]')

    def test_a_unix_socket(self) -> None:
        self.assertEqual(self.format('/tmp/my.sock', ''), "[Bound to '/tmp/my.sock']")
        self.assertEqual(self.format('', '/tmp/my.sock'), "[Bound to '/tmp/my.sock']")

    def test_one_pair_only(self) -> None:
        self.assertTrue(self.format(('127.0.0.1', 1), None).startswith('[Bound to '))


if __name__ == '__main__':
    unittest.main()
