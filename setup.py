"""Only the optional C extension stands here; all metadata is in pyproject.toml."""

import sys

from setuptools import Extension, setup

# Without a compiler the installation goes on without it, and PyPy's own compiler beats it.
SPEEDUPS = Extension('ws4py._speedups', ['ws4py/_speedups.c'], optional=True)

setup(ext_modules=[] if sys.implementation.name == 'pypy' else [SPEEDUPS])
