"""Types as users see them: sample programs under ``mypy --strict``, and the stub of the C part beside what it is.

mypy runs as it would for somebody who has installed ws4py, with no configuration of ours, and says nothing about what
is inside of the package. ``typing_samples/wrong.py`` has mistakes that it has to find.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from ws4py import speedups

TEST = Path(__file__).resolve().parent
SAMPLES = TEST / 'typing_samples'
STRICT = ['--config-file=', '--strict', '--warn-unreachable', '--follow-imports=silent']
NEEDED = ('cherrypy', 'gevent', 'tornado', 'pytest')  # else the samples are full of what is not known


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of mypy's away from this directory, where it would find our configuration."""
    with tempfile.TemporaryDirectory() as directory:
        return subprocess.run(
            [sys.executable, '-m', module, *arguments],
            cwd=directory,
            env={**os.environ, 'MYPYPATH': f'{TEST.parent}{os.pathsep}{SAMPLES}', 'PYTHONPATH': str(TEST.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@unittest.skipIf(importlib.util.find_spec('mypy') is None, 'mypy is not installed')
class Types(unittest.TestCase):
    def setUp(self) -> None:
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            self.skipTest(f'not installed: {", ".join(missing)}')

    def test_samples_of_every_backend(self) -> None:
        done = run('mypy', *STRICT, *sorted(map(str, SAMPLES.glob('*.py'))))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r'no issues found in \d+ source files')

    def test_mistakes_are_found(self) -> None:
        wrong = (SAMPLES / 'wrong.py').read_text('utf-8')
        mistakes = wrong.count('# type: ignore[')
        self.assertGreater(mistakes, 10)
        with tempfile.TemporaryDirectory() as directory:
            bare = Path(directory, 'bare.py')
            bare.write_text(wrong.replace('# type: ignore[', '# not ignored: ['), 'utf-8')
            done = run('mypy', *STRICT, str(bare))
        found = {line.split(':')[1] for line in done.stdout.splitlines() if ': error: ' in line}
        self.assertEqual(len(found), mistakes, done.stdout)

    def test_the_stub_of_the_c_part(self) -> None:
        if speedups.c is None:
            self.skipTest('the C part is not in use')
        done = run('mypy.stubtest', 'ws4py._speedups')
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == '__main__':
    unittest.main()
