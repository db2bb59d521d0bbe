"""How Sphinx builds these pages: ``make docs``."""

import builtins
import typing

import ws4py

# Only type checkers import it, and Python 3.11 is the first to have it: autodoc has to resolve annotations with it.
builtins.Unpack = getattr(typing, 'Unpack', typing.Optional)

project = 'ws4py'
copyright = '2026, ws4py developers'
version = release = ws4py.__version__

extensions = ['sphinx.ext.autodoc', 'sphinx.ext.viewcode']
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_preserve_defaults = True

# Tables are parts of pages.
exclude_patterns = ['_build', '*_table.rst']
html_theme = 'furo'
html_title = f'ws4py {release}'
html_static_path = ['_static']
