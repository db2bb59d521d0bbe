"""What is shipped: the sdist and the wheel are built from a copy of the source tree, and looked into.

No network: setuptools is called in this environment. The copy is there because a build writes beside the source.
"""

from __future__ import annotations

import email
import email.message
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

import ws4py
from ws4py import speedups

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = {'cherrypy', 'gevent', 'prometheus', 'socks', 'tornado', 'wsaccel', 'all', 'test', 'fuzz', 'docs'}
LEFT_OUT = shutil.ignore_patterns(
    '.git',
    '.venv',
    '.environments',
    '.tox',
    '.*_cache',
    '.hypothesis',
    '__pycache__',
    '_build',
    'reports',
    'build',
    '*.so',
)
COMPILED = ('.so', '.pyd')
BUILD = 'import sys; from setuptools.build_meta import *; to = sys.argv[1]; build_sdist(to); build_wheel(to)'


def setuptools_is_new() -> bool:
    if importlib.util.find_spec('setuptools') is None:
        return False
    from importlib.metadata import version

    return int(version('setuptools').partition('.')[0]) >= 77


@unittest.skipUnless(setuptools_is_new(), 'setuptools 77 or newer is not installed')
class Distributions(unittest.TestCase):
    sdist: set[str]
    wheel: set[str]
    metadata: email.message.Message
    scripts: str

    @classmethod
    def setUpClass(cls) -> None:
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory, 'source')
            shutil.copytree(ROOT, source, ignore=LEFT_OUT)
            command = [sys.executable, '-c', BUILD, directory]
            done = subprocess.run(command, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                raise AssertionError(done.stdout)
            (sdist,) = Path(directory).glob('ws4py-*.tar.gz')
            (wheel,) = Path(directory).glob('ws4py-*.whl')
            with tarfile.open(sdist) as archive:
                cls.sdist = {name.partition('/')[2] for name in archive.getnames()}
            with zipfile.ZipFile(wheel) as archive:
                cls.wheel = set(archive.namelist())
                name = next(name for name in cls.wheel if name.endswith('.dist-info/METADATA'))
                cls.scripts = archive.read(name.replace('METADATA', 'entry_points.txt')).decode()
                cls.metadata = email.message_from_bytes(archive.read(name))

    def test_version(self) -> None:
        self.assertEqual(self.metadata['Version'], ws4py.__version__)

    def test_name_licence_and_python(self) -> None:
        self.assertEqual(self.metadata['Name'], 'ws4py')
        self.assertEqual(self.metadata['License-Expression'], 'BSD-3-Clause')
        self.assertEqual(self.metadata['Requires-Python'], '>=3.9')

    def test_the_readme_is_the_description(self) -> None:
        self.assertEqual(self.metadata['Description-Content-Type'], 'text/markdown')

    def test_the_script_is_the_command_line(self) -> None:
        self.assertEqual(self.scripts.split(), ['[console_scripts]', 'ws4py', '=', 'ws4py.cli:main'])

    def test_extras(self) -> None:
        self.assertEqual(set(self.metadata.get_all('Provides-Extra', [])), EXTRAS)

    def test_nothing_is_required(self) -> None:
        requirements = self.metadata.get_all('Requires-Dist', [])
        self.assertEqual([requirement for requirement in requirements if 'extra ==' not in requirement], [])

    def test_requirements_have_floors_and_no_pins(self) -> None:
        for requirement in self.metadata.get_all('Requires-Dist', []):
            specifier = requirement.partition(';')[0]
            self.assertIn('>=', specifier)
            self.assertNotRegex(specifier, '==|<|~|!')

    def test_the_wheel_has_the_package_and_nothing_else(self) -> None:
        shipped = {path.relative_to(ROOT).as_posix() for path in ROOT.glob('ws4py/**/*') if path.is_file()}
        shipped = {name for name in shipped if '__pycache__' not in name and '_cache/' not in name}
        shipped = {name for name in shipped if not name.endswith(('.c', *COMPILED))}
        self.assertIn('ws4py/py.typed', shipped)
        self.assertIn('ws4py/demo/index.html', shipped)
        found = {name for name in self.wheel if '.dist-info/' not in name}
        compiled = {name for name in found if name.endswith(COMPILED)}
        self.assertEqual(found - compiled, shipped)
        self.assertEqual(len(compiled), 0 if speedups.c is None else 1, compiled)

    def test_the_wheel_has_the_licence(self) -> None:
        self.assertTrue(any(name.endswith('.dist-info/licenses/LICENSE') for name in self.wheel))

    def test_the_sdist_has_all_that_its_own_tests_need(self) -> None:
        for directory in ('docs', 'example', 'test', 'ws4py'):
            for path in ROOT.glob(f'{directory}/**/*'):
                name = path.relative_to(ROOT).as_posix()
                made = '__pycache__' in name or '_build/' in name or '/.' in name or name.endswith(COMPILED)
                if path.is_file() and not made:
                    self.assertIn(name, self.sdist)
        self.assertLessEqual({'CHANGELOG.md', 'LICENSE', 'Makefile', 'README.md', 'SECURITY.md', '.ci/run'}, self.sdist)


class Version(unittest.TestCase):
    def test_the_changelog_begins_with_this_version(self) -> None:
        text = (ROOT / 'CHANGELOG.md').read_text('utf-8')
        first = next(line for line in text.splitlines() if line.startswith('## '))
        self.assertTrue(first.startswith(f'## {ws4py.__version__} '), first)


if __name__ == '__main__':
    unittest.main()
