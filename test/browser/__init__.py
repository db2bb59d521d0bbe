"""Tests of the demo's page in a real browser."""

screenshots = False  # write the pictures of the documentation; set by conftest.py
