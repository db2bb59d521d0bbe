"""Tests in real browsers: of the demo's page, and of the chat on CherryPy."""

screenshots = False  # write the pictures of the documentation; set by conftest.py
