"""Misuse of HTTP itself, against a real process: a clear answer, and the server survives."""

from contextlib import suppress

import pytest
from front_door import ask, register
from raw_socket import RawSocket, connected

from live_server import LiveServer

PING = "/api/v1/ping"
AGENT = "/api/v1/agent"
SPELLINGS = (
    "x%2f..%2frun-path",
    "..%2frun-path",
    "%2e%2e",
    "run-path%00",
    "run-path%2fstart",
    "run-path%252fstart",
    "run%2dpath%20",
    "run-path.",
    "RUN-PATH",
    "run-path%0a",
    "%ef%bb%bfrun-path",
)
NOT_UTF_8 = ("%72un-path%c0%af", "%c0%b2un-path")


def agents(server: LiveServer) -> set[str]:
    """The names of all agents."""
    page = ask(server, "GET", f"{AGENT}?pagination[page_size]=100").body
    return {agent["name"] for agent in page["summaries"]}


def named(name: str) -> bytes:
    """A request body that creates an agent."""
    return b'{"details":{"name":"%b"}}' % name.encode()


class TestSizes:
    """Requests that are too large."""

    @pytest.mark.parametrize("size", [200_001, 10**15, 2**63])
    def test_an_oversized_body_is_refused_unread(self, line: RawSocket, size: int) -> None:
        """A body is refused by its declared size alone, however large the number."""
        assert line.ask("POST", AGENT, f"Content-Length: {size}").status == 413

    def test_an_invalid_size_is_refused(self, server: LiveServer) -> None:
        """Sizes that are negative, signed, too long or words are refused by the parser."""
        for size in ("-1", "+5", "0x10", "1e3", "five", "9" * 40, "5 5", ""):
            with connected(server) as line:
                answer = line.ask("POST", AGENT, f"Content-Length: {size}")
                assert answer.status == 400, size
                assert answer.body["request_id"], size

    def test_an_endless_chunked_body_is_cut_off(self, line: RawSocket) -> None:
        """A chunked body is refused as soon as it exceeds the limit."""
        chunk = b"%x\r\n%b\r\n" % (50_000, b" " * 50_000)
        line.send(line.request("POST", AGENT, "Transfer-Encoding: chunked") + chunk * 5)

        assert line.read().status == 413

    def test_a_chunk_of_impossible_size_is_refused(self, line: RawSocket) -> None:
        """A chunk that announces more than a number can hold is refused."""
        line.send(line.request("POST", AGENT, "Transfer-Encoding: chunked") + b"f" * 40 + b"\r\n")

        assert line.read().status == 400

    @pytest.mark.parametrize("bomb", ["one", "many", "line"])
    def test_a_bomb_of_headers_is_refused(self, line: RawSocket, bomb: str) -> None:
        """One endless header, endless headers and an endless address are answered 431."""
        piece = {"one": b"x" * 50_000, "many": b"A: b\r\n" * 10_000, "line": b"/" * 50_000}[bomb]
        line.send(b"GET " if bomb == "line" else b"GET /api/v1/ping HTTP/1.1\r\nA: ")
        for _ in range(100):
            line.send(piece)
        # The reset of the connection may arrive before the answer.
        with suppress(ConnectionResetError):
            assert line.read().status == 431

    def test_many_small_headers_are_a_request(self, line: RawSocket) -> None:
        """A thousand headers within the limit are accepted."""
        headers = [f"X-Header-{number}: {number}" for number in range(1000)]

        assert line.ask("GET", PING, *headers).status == 200

    @pytest.mark.parametrize(
        "body",
        [b"[" * 190_000, b'{"a":' * 38_000, b'{"details":' + b"[" * 90_000 + b"]" * 90_000 + b"}"],
        ids=["lists", "objects", "inside"],
    )
    def test_a_body_nested_without_end_is_refused(self, line: RawSocket, body: bytes) -> None:
        """Any nesting depth gets a 400 from the same process."""
        assert line.ask("POST", AGENT, body=body).status == 400

    def test_thousands_of_keys_are_accepted(self, server: LiveServer, line: RawSocket) -> None:
        """An object of many keys, or of one key many times, is treated like any other."""
        register(server, "run-keys")
        many = ",".join(f'"key-{number}":{number}' for number in range(8_000))
        same = ",".join('"key":1' for _ in range(20_000))
        for keys in (many, same):
            payload = f'"agent_instance_id":"run-keys","schema_name":"s","payload":{{{keys}}}'
            body = f'{{"details":{{{payload}}}}}'.encode()
            assert line.ask("POST", "/api/v1/agent_spans", body=body).status == 200
        body = f'{{{many},"details":{{{many}}}}}'.encode()[:190_000]
        assert line.ask("POST", AGENT, body=body).status in (400, 422)

    def test_thousands_of_parameters_are_refused(self, line: RawSocket) -> None:
        """A query of unknown parameters is answered 400, and so is one parameter many times."""
        many = "&".join(f"p{number}=1" for number in range(3_000))
        for query in (many, "status=active&" * 3_000):
            assert line.ask("GET", f"/api/v1/agent_instance?{query}").status == 400


class TestSmuggling:
    """Requests that a proxy in front might read differently."""

    @pytest.mark.parametrize(
        "headers",
        [
            ("Content-Length: 4", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: 4"),
            ("Content-Length: 4", "Content-Length: 5"),
            ("Content-Length: 4, 5",),
            ("Transfer-Encoding: chunked, identity",),
            ("Transfer-Encoding: xchunked",),
            ("Transfer-Encoding : chunked",),
            (" Transfer-Encoding: chunked",),
            ("Transfer-Encoding:\x0bchunked",),
            ("X: a\rTransfer-Encoding: chunked",),
            ("X: a\x00b",),
            ("Content-Length: 4\x00",),
        ],
    )
    def test_an_ambiguous_end_is_refused(
        self, server: LiveServer, line: RawSocket, headers: tuple[str, ...]
    ) -> None:
        """A request with an ambiguous end is refused, and a request hidden in it is not done."""
        hidden = line.request("POST", AGENT, body=named("smuggled"))
        line.send(line.request("POST", AGENT, *headers) + b"0\r\n\r\n" + hidden)
        answer = line.read()

        assert answer.status == 400, answer.text
        assert answer.body["status"] == "error"
        assert answer.headers["connection"] == "close"
        assert line.rest() == b""
        assert "smuggled" not in agents(server)

    def test_pipelined_requests_are_answered_in_order(self, line: RawSocket) -> None:
        """Each pipelined request gets its own answer, in order, whatever the requests are."""
        asked = [("GET", PING), ("GET", "/nowhere"), ("PATCH", AGENT), ("GET", PING)]
        line.send(b"".join(line.request(method, path) for method, path in asked))

        assert [line.read().status for _ in asked] == [200, 404, 405, 200]

    def test_pipelined_writes_are_all_done(self, server: LiveServer, line: RawSocket) -> None:
        """Each pipelined write is done exactly once."""
        names = [f"pipelined-{number}" for number in range(20)]
        line.send(b"".join(line.request("POST", AGENT, body=named(name)) for name in names))
        answers = [line.read() for _ in names]

        assert [answer.body["details"]["name"] for answer in answers] == names

    def test_answers_without_bodies_are_in_order(self, line: RawSocket) -> None:
        """An answer without a body is neither held back nor mixed up with a later one."""
        asked = [("HEAD", "/healthz"), ("GET", "/healthz"), ("HEAD", AGENT), ("GET", "/healthz")]
        line.send(b"".join(line.request(*each) for each in asked))
        heads: list[int] = []
        for method, _ in asked:
            answer = line.read(without_body=method == "HEAD")
            heads.append(answer.status)

        assert len(heads) == len(asked)
        assert heads[1] == heads[3] == 200
        line.send(line.request("HEAD", "/healthz"))
        assert line.read(without_body=True).status == heads[0]

    def test_expect_continue_is_answered(self, line: RawSocket) -> None:
        """A caller that expects `100 Continue` before it sends its body gets it."""
        whole = line.request("POST", AGENT, "Expect: 100-continue", body=named("expected"))
        head, _, body = whole.partition(b"\r\n\r\n")
        line.send(head + b"\r\n\r\n")
        assert line.read(without_body=True).status == 100
        line.send(body)
        assert line.read().body["details"]["name"] == "expected"

    @pytest.mark.parametrize("name", ["Authorization: Bearer another", "Idempotency-Key: two"])
    def test_duplicate_tokens_and_keys_are_refused(
        self, server: LiveServer, line: RawSocket, name: str
    ) -> None:
        """Two tokens, or two keys, are refused as ambiguous."""
        answer = line.ask("POST", AGENT, "Idempotency-Key: one", name, body=named("twice"))

        assert answer.status == 400
        assert answer.body["message"].startswith("Duplicate header")
        assert "twice" not in agents(server)

    def test_a_duplicate_parameter_is_refused(self, line: RawSocket) -> None:
        """Two values of one parameter are refused, also when they are written differently."""
        for query in ("status=active&status=complete", "status=active&st%61tus=complete"):
            answer = line.ask("GET", f"/api/v1/agent_instance?{query}")
            assert answer.status == 400
            assert answer.body["message"] == "Duplicate query parameter 'status'"

    def test_the_method_cannot_be_overridden(self, server: LiveServer, line: RawSocket) -> None:
        """Headers and parameters cannot override the method."""
        run = register(server, "run-override")
        path = f"/api/v1/agent_instance/{run['id']}"
        names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
        shown = line.ask("GET", path, *(f"{name}: DELETE" for name in names))
        start = line.ask("GET", f"{path}/start", *(f"{name}: POST" for name in names))

        assert shown.body["details"]["status"] == "pending"
        assert start.status == 405
        assert line.ask("GET", f"{path}?_method=DELETE").status == 400

    @pytest.mark.parametrize("name", ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"])
    def test_the_path_cannot_be_overridden(self, line: RawSocket, name: str) -> None:
        """Headers cannot override the path."""
        assert line.ask("GET", PING, f"{name}: {AGENT}").body["status"] == "success"
        assert line.ask("GET", "/nowhere", f"{name}: {PING}").status == 404


class TestPaths:
    """Paths that pretend to be others."""

    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1/agent/../ping",
            "/api/v1/agent/%2e%2e/ping",
            "/api/v1/agent/..%2fping",
            "/api/v1/agent%2f..%2fping",
            "/api/v1/agent/%252e%252e/ping",
            "/api/v1/./ping",
            "/api/v1//ping",
            "//api/v1/ping",
            "/api/v1/ping/",
            "/api/v1/ping%00",
            "/api/v1/ping;a=b",
            "/api/v1/p%69ng",
            "/api/v1/%c0%ae%c0%ae/ping",
            "/api/v1/ping%20",
            "/API/v1/ping",
            "/api/v1\\ping",
            "/api/v1/ping%23",
            "/metrics/../api/v1/ping",
            "/healthz%2f..%2fapi%2fv1%2fping",
        ],
    )
    def test_a_path_is_taken_literally(self, line: RawSocket, path: str) -> None:
        """Dots, doubled slashes and double encoding are a 404."""
        answer = line.ask("GET", path)

        assert answer.status == 404, answer.text
        assert answer.body["code"] == "not_found"

    def test_an_id_is_taken_literally(self, server: LiveServer, line: RawSocket) -> None:
        """Only an id's exact spelling matches its object."""
        register(server, "run-path")
        for spelling in (*SPELLINGS, *NOT_UTF_8):
            for method, tail in (("GET", ""), ("POST", "/start"), ("POST", "/terminate")):
                path = f"/api/v1/agent_instance/{spelling}{tail}"
                body = b"" if method == "GET" else b'{"reason":"hostile"}'
                expected = 400 if spelling in NOT_UTF_8 else 404
                assert line.ask(method, path, body=body).status == expected, path

        shown = line.ask("GET", "/api/v1/agent_instance/%72un-path").body["details"]
        assert (shown["id"], shown["status"]) == ("run-path", "pending")

    @pytest.mark.parametrize(
        "path",
        [
            b"/api/v1/\xff",
            b"/api/v1/a b",
            b"api/v1/ping",
            b"*",
            b"http://",
            b"",
            b"/\x00",
            b"/\x7f",
        ],
    )
    def test_an_invalid_path_is_refused(self, server: LiveServer, path: bytes) -> None:
        """Bytes that no path can hold are a 400 or a 404."""
        with connected(server) as line:
            line.send(line.request("GET", "PATH").replace(b"PATH", path))
            answer = line.read()
            assert answer.status in (400, 404)
            assert answer.body["status"] == "error"

    def test_a_whole_address_reaches_the_same_path(self, line: RawSocket) -> None:
        """A request with an absolute URL reaches its path, as HTTP requires."""
        assert line.ask("GET", f"http://elsewhere{PING}").status == 200
        assert line.ask("GET", "http://elsewhere/nowhere").status == 404


class TestProtocols:
    """Old versions of HTTP, and other protocols."""

    @pytest.mark.parametrize(
        "headers",
        [
            ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
            ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"),
        ],
    )
    def test_no_other_protocol_is_spoken(self, line: RawSocket, headers: tuple[str, ...]) -> None:
        """An upgrade is ignored, and the request is answered over HTTP/1.1."""
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

        assert line.ask("GET", PING, *headers, key).status == 200

    def test_old_http_is_answered_and_closed(self, line: RawSocket) -> None:
        """HTTP/1.0 without a host is answered, and the connection closes."""
        request = f"GET {PING} HTTP/1.0\r\nAuthorization: Bearer {line.token}\r\n\r\n"
        line.send(request.encode())

        assert line.read().status == 200
        assert line.rest() == b""

    @pytest.mark.parametrize(
        "data",
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /\r\n\r\n",
            b"\x00" * 1000,
            b"HELO mail\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
        ],
        ids=["http2", "tls", "version", "http09", "zeros", "smtp", "answer", "connect"],
    )
    def test_other_protocols_get_an_http_error(self, line: RawSocket, data: bytes) -> None:
        """Other protocols get a clear error, in the body that all errors have."""
        line.send(data)
        answer = line.read()

        assert 400 <= answer.status < 500
        assert answer.body["status"] == "error"
        assert answer.body["request_id"] == answer.headers["x-request-id"]

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "DELETE"])
    def test_unknown_methods_are_refused(
        self, server: LiveServer, line: RawSocket, method: str
    ) -> None:
        """Every other method is a 405 with the allowed ones; TRACE echoes no header."""
        line.send(line.request(method, PING, "Connection: close"))
        told = line.rest().decode()

        assert told.startswith("HTTP/1.1 405 ")
        assert "allow: GET" in told
        assert line.token not in told

    def test_expect_continue_respects_the_limit(self, line: RawSocket) -> None:
        """A caller that expects 100-continue gets it, or an error if its body is too large."""
        body = named("asked-first")
        line.send(
            line.request("POST", AGENT, "Expect: 100-continue", f"Content-Length: {len(body)}")
        )
        assert line.read().status == 100
        line.send(body)
        assert line.read().status == 200

        refused = line.ask("POST", AGENT, "Expect: 100-continue", "Content-Length: 900000")
        assert refused.status == 413
