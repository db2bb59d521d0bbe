"""Only the optional C extension stands here, none so far; all metadata is in pyproject.toml."""

from setuptools import setup

setup(ext_modules=[])
