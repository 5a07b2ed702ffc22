"""The pages for browsers: static files built from ``web/``.

They are read once, at startup, and take a few hundred kilobytes. File names below ``assets/``
contain a hash of the content, so browsers cache them forever. They revalidate everything else.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send

from prefactor_server.http.accept_encoding import preferred_coding

FOLDER: Final = Path(__file__).resolve().parent.parent / "pages"
"""The folder of the built pages: ``make`` writes it, and a wheel contains it."""

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"font-src 'self'; connect-src 'self'; worker-src 'self'; frame-ancestors 'none'; "
    b"base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; "
    b"trusted-types svelte-trusted-html prefactor-worker"
)

SECURITY_HEADERS: Final[Headers] = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

_TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".woff2": b"font/woff2",
}
_COMPRESSED: Final = frozenset({".css", ".html", ".js", ".svg"})
_TEXT: Final = b"text/plain; charset=utf-8"

_NOT_BUILT: Final = b"""This server has no pages: they were not built.

The API works as usual, below api/v1. To get the pages:

  in a checkout    make pages   (needs Node 22.12 or newer, or a network to get it), then restart
  otherwise        install a wheel of prefactor-server that `make dist` made
"""


class StaticFile(NamedTuple):
    """One file with its headers, uncompressed and compressed (empty if that saves nothing)."""

    status: int
    body: bytes
    compressed: bytes
    headers: Headers
    etag: bytes


def is_built(folder: Path = FOLDER) -> bool:
    """Return whether the pages were built."""
    return (folder / "index.html").is_file()


def load_pages(folder: Path = FOLDER) -> Mapping[str, StaticFile]:
    """Return the built pages by path. If they were not built, ``/`` explains how to build them."""
    if not is_built(folder):
        return {
            "/": _static_file(".txt", _NOT_BUILT, status=HTTPStatus.NOT_FOUND, cache=b"no-store")
        }
    files: dict[str, StaticFile] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _TYPES:
            continue
        name = path.relative_to(folder).as_posix()
        hashed = name.startswith("assets/")
        cache = b"public, max-age=31536000, immutable" if hashed else b"no-cache"
        files["/" if name == "index.html" else f"/{name}"] = _static_file(
            path.suffix, path.read_bytes(), cache=cache
        )
    return files


def _static_file(
    suffix: str, body: bytes, *, status: int = HTTPStatus.OK, cache: bytes
) -> StaticFile:
    compressed = gzip.compress(body, 9, mtime=0) if suffix in _COMPRESSED else b""
    if len(compressed) >= len(body):
        compressed = b""
    etag = b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()
    headers = (
        (b"content-type", _TYPES.get(suffix, _TEXT)),
        (b"cache-control", cache),
        (b"etag", etag),
        *(((b"vary", b"Accept-Encoding"),) if compressed else ()),
        *SECURITY_HEADERS,
    )
    return StaticFile(status, body, compressed, headers, etag)


class Pages:
    """An ASGI application that serves the pages and passes every other path to the API."""

    def __init__(self, api: ASGIApp, files: Mapping[str, StaticFile]) -> None:
        self._api = api
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        file = self._files.get(scope["path"])
        # HTTP/0.9 has no headers, and so no security policy. The API rejects it.
        if file is None or scope["method"] not in ("GET", "HEAD") or scope["http_version"] == "0.9":
            await self._api(scope, receive, send)
            return
        requested = dict(scope["headers"])
        status, body, headers = file.status, file.body, file.headers
        if status == HTTPStatus.OK and requested.get(b"if-none-match") == file.etag:
            status, body = HTTPStatus.NOT_MODIFIED, b""
        elif file.compressed and preferred_coding(scope["headers"], ("gzip",)):
            body, headers = file.compressed, (*headers, (b"content-encoding", b"gzip"))
        if status != HTTPStatus.NOT_MODIFIED:
            headers = (*headers, (b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )
