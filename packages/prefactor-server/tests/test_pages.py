"""The pages as files: their headers and caching, and a server without them."""

import gzip
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from prefactor_server.http.pages import Pages, load_pages

INDEX = b"<!doctype html><title>Prefactor</title>" * 20
SCRIPT = b"export const answer = 42;" * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of built pages."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(INDEX)
    (tmp_path / "assets" / "index-B2x.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "inter.woff2").write_bytes(b"font")
    (tmp_path / "left-over.map").write_bytes(b"{}")
    return tmp_path


def client(folder: Path) -> httpx.AsyncClient:
    """A client of an application with these pages, whose API answers 418."""

    async def api(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"api"})

    transport = httpx.ASGITransport(Pages(api, load_pages(folder)))
    return httpx.AsyncClient(transport=transport, base_url="http://pages")


@pytest.mark.parametrize("path", ["/", "/assets/index-B2x.js", "/assets/inter.woff2"])
async def test_policy(folder: Path, path: str) -> None:
    """Every file forbids foreign scripts, styles, frames and requests."""
    async with client(folder) as pages:
        headers = (await pages.get(path)).headers
    policy = headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"


async def test_caching(folder: Path) -> None:
    """Files named by content are cached forever, and the page itself is revalidated."""
    async with client(folder) as pages:
        page = await pages.get("/")
        script = await pages.get("/assets/index-B2x.js")
        again = await pages.get("/", headers={"if-none-match": page.headers["etag"]})
    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in script.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")


async def test_compression(folder: Path) -> None:
    """Text is compressed for clients that accept it, and plain for others."""
    async with client(folder) as pages:
        compressed = await pages.get("/", headers={"accept-encoding": "gzip"})
        plain = await pages.get("/", headers={"accept-encoding": "identity"})
        refusals = [
            await pages.get("/", headers={"accept-encoding": refusal})
            for refusal in ("gzip;q=0", "gzip; q=0.0, br", "*;q=0", "identity;q=0", "not-gzip")
        ]
    assert [one.headers.get("content-encoding") for one in refusals] == [None] * len(refusals)
    assert compressed.headers["content-encoding"] == "gzip"
    assert int(compressed.headers["content-length"]) == len(gzip.compress(INDEX, 9, mtime=0))
    assert compressed.content == plain.content == INDEX
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/ping"),
        ("GET", "/index.html"),
        ("GET", "/left-over.map"),
        ("GET", "/assets/../index.html"),
        ("GET", "/assets/"),
        ("POST", "/"),
    ],
)
async def test_everything_else(folder: Path, method: str, path: str) -> None:
    """Any path that is not a page file goes to the API."""
    async with client(folder) as pages:
        answer = await pages.request(method, httpx.URL("http://pages", raw_path=path.encode()))
    assert answer.status_code == 418


async def test_head(folder: Path) -> None:
    """HEAD answers with only the headers."""
    async with client(folder) as pages:
        answer = await pages.head("/", headers={"accept-encoding": "identity"})
    assert answer.content == b""
    assert int(answer.headers["content-length"]) == len(INDEX)


async def test_not_built(tmp_path: Path) -> None:
    """A server without pages says at its root how to get them, and its API works."""
    async with client(tmp_path) as pages:
        answer = await pages.get("/")
        other = await pages.get("/api/v1/ping")
    assert answer.status_code == 404
    assert "make pages" in answer.text
    assert other.status_code == 418
