"""Certificates for the tests, made when they are first asked for and gone with the process: no keys in the tree."""

from __future__ import annotations

import atexit
import datetime
import functools
import os
import shutil
import ssl
import tempfile
import unittest

try:
    import trustme
except ImportError:  # a test extra
    trustme = None

needs_certificates = unittest.skipIf(trustme is None, 'trustme is not installed, no certificates for TLS')


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def _directory() -> str:
    directory = tempfile.mkdtemp(prefix='ws4py-test-')
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def server_context(*names: str, expired: bool = False, client_certificates: bool = False) -> ssl.SSLContext:
    """TLS for a server called *names* (127.0.0.1 and localhost by default)."""
    not_after = datetime.datetime(2001, 1, 1) if expired else None
    certificate = _authority().issue_cert(*(names or ('localhost', '127.0.0.1', '::1')), not_after=not_after)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    if client_certificates:
        _authority().configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def self_signed_context() -> ssl.SSLContext:
    """TLS for a server that vouches for itself."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority = trustme.CA()
    path = os.path.join(_directory(), 'self-signed.pem')
    authority.private_key_pem.write_to_path(path)
    authority.cert_pem.write_to_path(path, append=True)
    context.load_cert_chain(path)
    return context


def client_context() -> ssl.SSLContext:
    """TLS for a client that trusts the servers of :func:`server_context`."""
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context


@functools.cache
def authority_file() -> str:
    """Path of the authority's certificate."""
    path = os.path.join(_directory(), 'authority.pem')
    _authority().cert_pem.write_to_path(path)
    return path


@functools.cache
def certificate_files(name: str = 'localhost') -> tuple[str, str]:
    """Paths of a certificate and its key."""
    certificate = _authority().issue_cert(name)
    paths = os.path.join(_directory(), f'{name}.pem'), os.path.join(_directory(), f'{name}.key')
    for chain in certificate.cert_chain_pems:
        chain.write_to_path(paths[0], append=True)
    certificate.private_key_pem.write_to_path(paths[1])
    return paths
