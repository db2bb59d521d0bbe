"""Silence, on every server and every client: pings, how long they take, and peers that do not answer."""
