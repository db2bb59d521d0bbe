"""The files that ``serve --static`` serves, and all that it does not; ``test_demo`` has them on each server."""

from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from ws4py.demo import content
from ws4py.demo.content import Content, file_answer


class FilesTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.outside = Path(directory.name)
        self.root = self.outside / 'root'
        for name, text in (
            ('secret', 'secret'),
            ('root-of-another/secret', 'secret'),
            ('root/index.html', 'front'),
            ('root/sub/index.html', 'inner'),
            ('root/empty/.keep', ''),
            ('root/.git/config', 'secret'),
            ('root/sub/.env', 'secret'),
        ):
            path = self.outside / name
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)

    def get(self, path: str, method: str = 'GET') -> tuple[int, bytes]:
        answered = file_answer(str(self.root), method, path)
        self.assertEqual(dict(answered.headers)['Content-Length'], str(len(answered.body)))
        self.assertEqual(dict(answered.headers)['X-Content-Type-Options'], 'nosniff')
        return answered.status, answered.body

    def refused(self, path: str) -> None:
        with self.subTest(path):
            self.assertEqual(self.get(path), (404, b'There is no such file.\n'))

    def test_files_and_indexes(self) -> None:
        self.assertEqual(self.get('/'), (200, b'front'))
        self.assertEqual(self.get('/', 'HEAD'), (200, b'front'))  # the body is for whoever answers to leave out
        self.assertEqual(self.get('/sub/index.html'), (200, b'inner'))
        self.assertEqual(self.get('/sub/'), (200, b'inner'))

    def test_a_relative_directory(self) -> None:
        previous = os.getcwd()
        os.chdir(self.outside)
        self.addCleanup(os.chdir, previous)
        self.assertEqual(file_answer('root', 'GET', '/sub/').body, b'inner')

    def test_a_directory_without_its_slash(self) -> None:
        (self.root / 'ü b').mkdir()
        for path, location in (('/sub', '/sub/'), ('/ü b', '/%C3%BC%20b/')):
            answered = file_answer(str(self.root), 'GET', path)
            self.assertEqual((answered.status, dict(answered.headers)['Location']), (301, location))

    def test_no_way_out(self) -> None:
        for path in (
            '/../secret',
            '/sub/../../secret',
            '/sub/../index.html',
            '/./index.html',
            '//index.html',
            '//sub',
            '//example.org/',
            '/sub//index.html',
            '/..\\secret',
            '/\\..\\secret',
            '/C:/secret',
            '/secret:stream',
            f'/{self.outside}/secret',
            f'{self.outside}/secret',
            '/../root-of-another/secret',
            '/index.html\0',
            '/index.html\n',
            '/index.html/',
            '/index.html/x',
            '/\ud800',
            '',
            '*',
            'index.html',
            'http://127.0.0.1/',
            '/' + 'x' * 5000,
            '/' + 'x/' * 5000,
        ):
            self.refused(path)

    def test_hidden_files_and_listings(self) -> None:
        for path in ('/.git/config', '/.git', '/sub/.env', '/empty/', '/empty/.keep', '/..', '/.', '/...', '/nothing'):
            self.refused(path)

    @unittest.skipUnless(hasattr(os, 'symlink') and os.name == 'posix', 'no symbolic links for everybody')
    def test_links(self) -> None:
        for name, target in (
            ('out', '../secret'),
            ('out-directory', '..'),
            ('hidden', '.git/config'),
            ('circle', 'circle'),
            ('nowhere', 'nothing'),
            ('inside', 'sub/index.html'),
        ):
            (self.root / name).symlink_to(target)
        for path in ('/out', '/out-directory', '/out-directory/secret', '/hidden', '/circle', '/nowhere'):
            self.refused(path)
        self.assertEqual(self.get('/inside'), (200, b'inner'))

    @unittest.skipUnless(hasattr(os, 'mkfifo'), 'no pipes with a name')
    def test_what_is_no_file(self) -> None:
        os.mkfifo(self.root / 'pipe')
        self.refused('/pipe')

    def test_what_cannot_be_read(self) -> None:
        with mock.patch.object(Path, 'read_bytes', side_effect=PermissionError):
            self.refused('/index.html')

    def test_a_directory_that_has_gone(self) -> None:
        self.root = self.outside / 'gone'
        self.refused('/index.html')

    def test_a_file_that_is_too_large(self) -> None:
        with mock.patch.object(content, 'LARGEST', 4):
            self.assertEqual(self.get('/'), (403, b'The file has more than 4 bytes.\n'))
        with mock.patch.object(content, 'LARGEST', 5):
            self.assertEqual(self.get('/'), (200, b'front'))

    def test_other_methods(self) -> None:
        for method in ('POST', 'PUT', 'DELETE', 'get', 'OPTIONS'):
            self.assertEqual(self.get('/', method)[0], 405)

    def test_content_types(self) -> None:
        for name, expected in (
            ('a.html', 'text/html;charset=utf-8'),
            ('a.css', 'text/css;charset=utf-8'),
            ('a.js', 'text/javascript;charset=utf-8'),
            ('a.mjs', 'text/javascript;charset=utf-8'),
            ('a.json', 'application/json'),
            ('a.svg', 'image/svg+xml'),
            ('a.PNG', 'image/png'),
            ('a.wasm', 'application/wasm'),
            ('a.tar.gz', 'application/octet-stream'),
            ('a.css.gz', 'application/octet-stream'),
            ('a.unknown-ending', 'application/octet-stream'),
            ('README', 'application/octet-stream'),
        ):
            with self.subTest(name):
                (self.root / name).write_bytes(b'')
                headers = dict(file_answer(str(self.root), 'GET', f'/{name}').headers)
                self.assertEqual(headers['Content-Type'], expected)


class ContentTest(unittest.TestCase):
    def test_the_page_the_files_or_nothing(self) -> None:
        self.assertIn(b'<html', Content().answer('GET', '/').body)
        self.assertEqual(Content(chat=False).answer('GET', '/').body, b'There is /echo.\n')
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, 'index.html').write_text('front')
            for chat in (True, False):
                self.assertEqual(Content(chat, directory).answer('GET', '/').body, b'front')


if __name__ == '__main__':
    unittest.main()
