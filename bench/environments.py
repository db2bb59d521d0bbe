"""The environments that contestants run in: made when they are first needed, kept under ``bench/.environments``.

Each has its pinned packages in ``bench/requirements``; when that file changes, or the interpreter, the environment is
made anew. Two are no environments of Python: ``c`` holds what the compiler makes of our C sources, ``node`` what npm
installs. :exc:`Missing` is what cannot be made on this machine; who needs it is left out, and the run goes on.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from contestants import Contestant

__all__ = ['BENCH', 'Missing', 'binary', 'command', 'node', 'python']

BENCH = Path(__file__).resolve().parent
HOME = BENCH / '.environments'
REQUIREMENTS = BENCH / 'requirements'


class Missing(Exception):
    """A compiler, an interpreter or a package that is not to be had here."""


def command(contestant: Contestant) -> tuple[list[str], Mapping[str, str]]:
    """The command that starts a contestant, and the variables of its environment.

    :raises Missing: it cannot run here.
    """
    script = BENCH / contestant.script
    # The package beside this directory is ours, and nobody else's.
    variables = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    if script.suffix == '.c':
        words = [str(binary(contestant.script))]
    elif script.suffix == '.js':
        words = [_found('node'), str(script)]
        variables['NODE_PATH'] = str(node() / 'node_modules')
    elif contestant.environment is None:
        words = [sys.executable, str(script)]
        variables['PYTHONPATH'] = str(BENCH.parent)
    else:
        words = [str(python(contestant.environment)), str(script)]
    return [*words, *contestant.arguments], {**variables, **contestant.variables}


@functools.cache
def python(name: str) -> Path:
    """The interpreter of the environment *name*, with what ``requirements/NAME.txt`` says.

    :raises Missing: pip could not install that.
    """
    requirements = REQUIREMENTS / f'{name}.txt'
    home = HOME / name
    interpreter = home / 'bin' / 'python'
    if _is_fresh(home, wanted := f'{sys.version}\n{requirements.read_text("utf-8")}'):
        return interpreter
    _say(f'installing {requirements.name}')
    shutil.rmtree(home, ignore_errors=True)
    _run(sys.executable, '-m', 'venv', str(home))
    pip = (str(interpreter), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--prefer-binary')
    _run(*pip, '--requirement', str(requirements))
    _stamp(home, wanted)
    return interpreter


@functools.cache
def node() -> Path:
    """The directory with the packages of Node.

    :raises Missing: there is no Node, no npm, or no package.
    """
    requirements = REQUIREMENTS / 'package.json'
    home = HOME / 'node'
    if _is_fresh(home, wanted := requirements.read_text('utf-8')):
        return home
    npm = _found('npm')
    _say(f'installing {requirements.name}')
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    shutil.copy(requirements, home)
    _run(npm, 'install', '--silent', '--no-audit', '--no-fund', '--prefix', str(home))
    _stamp(home, wanted)
    return home


@functools.cache
def binary(source: str) -> Path:
    """What the compiler makes of a C source below ``bench/``; with TLS where OpenSSL's headers are.

    :raises Missing: there is no compiler, or it failed.
    """
    path = BENCH / source
    made = HOME / 'c' / path.stem
    if made.exists() and made.stat().st_mtime > path.stat().st_mtime:
        return made
    compiler = _found('cc')
    _say(f'compiling {source}')
    made.parent.mkdir(parents=True, exist_ok=True)
    fresh = made.with_suffix('.new')  # so that one who runs the old one, or compiles too, is not in the way
    plain = (compiler, '-O2', '-o', str(fresh), str(path))
    if 'TLS' in path.read_text('utf-8'):
        try:
            _run(*plain, '-DTLS', '-lssl', '-lcrypto')
            return fresh.replace(made)
        except Missing:
            _say('OpenSSL cannot be compiled against: no works over TLS')
    _run(*plain)
    return fresh.replace(made)


def _found(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f'{name} is not installed')
    return path


def _run(*words: str) -> None:
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Missing(f'{" ".join(words)} failed: {done.stdout.strip()[-2000:]}')


def _is_fresh(home: Path, wanted: str) -> bool:
    stamp = home / 'stamp'
    return stamp.exists() and stamp.read_text('utf-8') == wanted


def _stamp(home: Path, wanted: str) -> None:
    (home / 'stamp').write_text(wanted, encoding='utf-8')


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
