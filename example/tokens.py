"""Signed tokens that run out, for the examples of authentication; no example by itself."""

import hashlib
import hmac
import secrets
import time

KEY = secrets.token_bytes()  # a real service keeps it in a file, else a restart forgets everybody


def sign(purpose, name, seconds):
    """A token that says *name* for so many seconds, and is good for one *purpose* only."""
    text = f'{name}.{int(time.time() + seconds)}'
    return f'{text}.{_mac(purpose, text)}'


def verify(purpose, token):
    """The name in *token*; None where it is forged, for something else, or too old."""
    text, _, mac = token.rpartition('.')
    if not hmac.compare_digest(mac.encode('utf-8', 'replace'), _mac(purpose, text).encode()):  # in constant time
        return None
    name, _, end = text.rpartition('.')
    return name if int(end) > time.time() else None


def _mac(purpose, text):
    return hmac.new(KEY, f'{purpose}.{text}'.encode('utf-8', 'replace'), hashlib.sha256).hexdigest()
