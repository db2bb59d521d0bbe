"""The cookies of a client (RFC 6265): what it sends with its request, and what it keeps of the answers.

A client is given a mapping, which it sends to the origin of its URL and nowhere else, or a jar of
:mod:`http.cookiejar`. What a jar sends where, and what it takes from whom, its policy decides; to the jar, ws is http
and wss is https. Nothing is read or written here. The object belongs to one client; a jar locks itself, so that many
clients, in many threads, may share one, and urllib with them.

The jars of the standard library believe a server more than they should. One attribute that is malformed loses every
cookie of that answer, with a warning that there is a bug; and whoever names a foreign domain and an age of 0 has the
cookie of that domain deleted, because no policy is asked. So a jar is not shown what came, but what RFC 6265 section
5.2 understands of it, written anew, and nothing for a domain that is not the server's own. All of it takes linear time.
The length of a cookie and their number in a domain are bounded, else a client that connects again and again would have
its memory filled.

Nothing here imports :mod:`http.cookiejar`: whoever has a jar has done so.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional, Union
from urllib.parse import urlsplit

from ws4py.http11 import Response, build_token_list, show
from ws4py.limits import Limits

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

__all__ = ['CookieSource', 'Cookies']

#: What a client is given: a value for each name, or a jar, or none.
CookieSource = Union[Mapping[str, str], 'CookieJar', None]

LONGEST = 4096  # characters of a Set-Cookie; browsers take about as much (RFC 6265 section 6.1)
MOST = 150  # cookies that a jar takes for one domain; RFC 6265 section 6.1 asks for 50 at least

# What breaks a header or ends a cookie, and what has no one encoding. RFC 6265 section 4.1.1 has no space, quote, comma
# or backslash either; but servers do set such cookies, and browsers send them back as they are.
_NOT_IN_VALUE = re.compile(r'[^\x20-\x3a\x3c-\x7e]')

# The attributes that count, and the values that they count with (RFC 6265 section 5.2). A year has four digits
# (section 5.1.1).
_ATTRIBUTES = {
    'expires': re.compile(r'(?!.*[0-9]{5}).{1,64}'),
    'max-age': re.compile(r'-?[0-9]+'),
    'domain': re.compile(r'.+'),
    'path': re.compile(r'.*'),
    'secure': re.compile(r'.*'),
    'httponly': re.compile(r'.*'),
}
_FLAGS = {'secure': 'Secure', 'httponly': 'HttpOnly'}
_WHITE_SPACE = ' \t'


class Cookies:
    """The cookies of one client, for the thread that connects it.

    :param given: a mapping of names to values, of which a copy is kept, or a jar: anything that has the methods of
        :class:`http.cookiejar.CookieJar`.
    :raises ValueError: a name is not a token; or a value has a control character, a semicolon, one that is not ASCII,
        or white space at an end.
    :raises TypeError: it is neither, or a value is not text.
    """

    def __init__(self, given: CookieSource = None) -> None:
        self._jar: Any = None
        self._fixed: Optional[str] = None
        self._first_host: Optional[str] = None  # if redirects have led away from there
        if hasattr(given, 'extract_cookies'):  # asked first, since some jars are mappings as well
            self._jar = given
        elif isinstance(given, Mapping):
            self._fixed = '; '.join(_build_pair(name, value) for name, value in given.items())
        elif given is not None:
            raise TypeError(f'cookies are a mapping or a CookieJar, not {type(given).__name__}')

    def header(self, url: str) -> Optional[str]:
        """The value of the ``Cookie`` header for a request to *url*, None for no header (RFC 6265 section 5.4).

        :param url: with the scheme http or https.
        """
        if self._jar is None:
            return self._fixed or None
        request = self._request(url)
        self._jar.add_cookie_header(request)
        value: Optional[str] = request.get_header('Cookie')
        return value

    def leave(self, host: str) -> None:
        """A redirect leads from *host* to another origin: a mapping was not meant for that one.

        From then on a jar with a policy about third parties sees that nobody has asked for that host.
        """
        self._fixed = None
        self._first_host = self._first_host or host

    def store(self, url: str, head: bytes, limits: Limits) -> None:
        """Keep the cookies of an answer, whatever its status (RFC 6265 section 5.3). Without a jar, nothing is done.

        :param url: that of the request.
        :param head: of the answer.
        :raises HTTPError: the head is malformed or over a limit.
        """
        if self._jar is None:
            return
        host = urlsplit(url).hostname or ''
        lines = Response.parse(head, limits).headers.get_all('Set-Cookie')
        understood = [_understood(line, host) for line in lines]
        before = self._keys()
        self._jar.extract_cookies(_Answer([cookie for cookie in understood if cookie is not None]), self._request(url))
        after = self._keys()
        held = Counter(key[0] for key in after if key in before)
        for key in after:
            if key not in before:
                held[key[0]] += 1
                if held[key[0]] > MOST:
                    self._forget(key)

    def _request(self, url: str) -> Any:
        # The jar's own idea of a request; who has a jar has this module, too.
        from urllib.request import Request

        return Request(url, origin_req_host=self._first_host, unverifiable=self._first_host is not None)

    def _keys(self) -> dict[tuple[str, str, str], None]:
        """Domain, path and name of every cookie in the jar, in its order."""
        while True:
            try:
                return dict.fromkeys((cookie.domain, cookie.path, cookie.name) for cookie in self._jar)
            except RuntimeError:  # who walks a jar does not lock it, and another thread has put something into it
                continue

    def _forget(self, key: tuple[str, str, str]) -> None:
        with contextlib.suppress(KeyError):  # another thread was faster
            self._jar.clear(*key)


class _Answer:
    """As much of an answer as a jar looks at."""

    def __init__(self, cookies: list[str]) -> None:
        self._cookies = cookies

    def info(self) -> _Answer:
        """The headers."""
        return self

    def get_all(self, name: str, default: Any = None) -> Any:
        """The values of ``Set-Cookie``; of ``Set-Cookie2``, which RFC 6265 has done away with, *default*."""
        return self._cookies if name.lower() == 'set-cookie' else default


def _build_pair(name: Any, value: Any) -> str:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f'the name and the value of a cookie are text, not {name!r} and {type(value).__name__}')
    wrong = _NOT_IN_VALUE.search(value)
    if wrong is not None:  # the text of the error does not show the value: it may be a password
        raise ValueError(f'the value of cookie {show(name)} has the character {wrong[0]!r}')
    if value != value.strip(_WHITE_SPACE):
        raise ValueError(f'the value of cookie {show(name)} has white space at an end')
    return f'{build_token_list([name])}={value}'


def _understood(line: str, host: str) -> Optional[str]:
    """What a ``Set-Cookie`` means, in words that every jar understands; None for what is no cookie of *host*."""
    if len(line) > LONGEST:
        return None
    pair, *parts = line.split(';')
    name, equals, value = (text.strip(_WHITE_SPACE) for text in pair.partition('='))
    if not name or not equals:
        return None
    attributes = {}
    for part in parts:
        key, _, content = (text.strip(_WHITE_SPACE) for text in part.partition('='))
        pattern = _ATTRIBUTES.get(key.lower())
        if pattern is not None and pattern.fullmatch(content):
            attributes[key.lower()] = content
    written = [f'{name}={value}']
    domain = attributes.get('domain', '').lower()
    domain = domain[1:] if domain.startswith('.') else domain
    if domain:
        if domain != host and not (_is_dotted_name(host) and host.endswith(f'.{domain}')):
            return None
        if _is_dotted_name(host):  # else it says no more than that the cookie is for this host, and jars refuse it
            written.append(f'Domain=.{domain}')
    if 'max-age' in attributes:  # takes precedence over Expires (section 5.3)
        written.append(f'Max-Age={_seconds(attributes["max-age"])}')
    elif 'expires' in attributes:
        written.append(f'Expires={attributes["expires"]}')
    if attributes.get('path', '').startswith('/'):  # else it is the default (section 5.2.4)
        written.append(f'Path={attributes["path"]}')
    written += [_FLAGS[key] for key in _FLAGS if key in attributes]
    return '; '.join(written)


def _seconds(text: str) -> str:
    """Not below 0, and of so few digits that everybody can count with them: for ever is some centuries."""
    return '0' if text.startswith('-') else (text.lstrip('0') or '0')[:10]


def _is_dotted_name(host: str) -> bool:
    """Whether *host* is a name with a domain above it, and not an address."""
    _, dot, last = host.rpartition('.')
    return bool(dot) and not last.isdigit()
