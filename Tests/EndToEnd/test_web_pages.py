"""What a web page can make its visitor's browser send to a daemon without a token: nothing of it has an effect.

A page cannot choose `Host`, `Origin` or `Sec-Fetch-*`. What it can do without being asked by the browser: GET and HEAD
anywhere, and POST of the three kinds of forms. Everything else begins with an OPTIONS, which must be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from daemon import Daemon, sandbox_path
from wire import Reply, exchange

LEASE = sandbox_path("alice", "demo")
ACTIONS = ["/v1/admin/stop-creates", "/v1/admin/resume-creates", "/v1/admin/drain"] + [
    LEASE + action for action in ("/exec", "/keepalive", "/pause", "/report-unhealthy")
]
READS = ["/v1/stats", "/v1/sandboxes", LEASE, "/v1/explain/alice/demo"]
FORMS = {
    "application/x-www-form-urlencoded": b'{"command":["touch","x"],"a":"=b"}',
    "multipart/form-data; boundary=x": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{}\r\n--x--\r\n',
    "text/plain": b'{"command": ["touch", "x"], "stdin": "="}',
    "text/plain; application/json": b"{}",
    "application/json-patch+json": b"{}",
}
ORIGINS = ["https://evil.example", "null", "http://localhost.evil.example:8484", "http://localhost@evil.example"]


@pytest.fixture(scope="module")
def daemon(launch: Callable[..., Daemon]) -> Iterator[Daemon]:
    with launch({"PROVIDER": "local"}) as daemon:
        assert daemon.acquire("alice", "demo").status == 201
        yield daemon


@pytest.fixture(autouse=True)
def unmoved(daemon: Daemon) -> Iterator[None]:
    """After each test the daemon is as before: not drained, not stopped, one lease, and nothing ran in it."""
    before = standing(daemon)
    yield
    assert standing(daemon) == before
    assert daemon.output("alice", "demo", "ls", "-A") == ""


def standing(daemon: Daemon) -> dict[str, object]:
    stats = daemon.stats()
    lease = daemon.request("GET", LEASE).json
    kept = {name: stats[name] for name in ("draining", "creations_stopped", "created", "cleaned_up", "slots_in_use")}
    return kept | {name: lease[name] for name in ("sandbox_id", "epoch", "state")}


def ask(daemon: Daemon, method: str, path: str, *headers: str, body: bytes = b"", host: str = "") -> Reply:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or daemon.api}", *headers]
    if method in ("POST", "PUT") or body:
        lines.append(f"Content-Length: {len(body)}")
    reply = exchange(daemon.api, "\r\n".join([*lines, "", ""]).encode() + body)
    assert reply is not None
    assert not [name for name in reply.headers if name.startswith("access-control-")], "another origin may read this"
    return reply


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ACTIONS)
def test_a_form_that_a_page_sends_is_refused(daemon: Daemon, path: str, origin: str) -> None:
    assert ask(daemon, "POST", path, f"Origin: {origin}").status == 401
    for kind, body in FORMS.items():
        assert ask(daemon, "POST", path, f"Origin: {origin}", f"Content-Type: {kind}", body=body).status == 401


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_is_refused_by_its_kind_too(daemon: Daemon, kind: str) -> None:
    """Should a browser leave the origin out, and for a page that this machine serves itself."""
    for path in ACTIONS:
        for origin in ([], ["Origin: http://localhost:3000"]):
            reply = ask(daemon, "POST", path, *origin, f"Content-Type: {kind}", body=FORMS[kind])
            assert reply.status == 415 and reply.code == "unsupported_media_type"


@pytest.mark.parametrize("path", [*ACTIONS, *READS])
def test_no_page_is_allowed_to_ask_for_more(daemon: Daemon, path: str) -> None:
    for method in ("PUT", "POST", "DELETE", "GET"):
        wish = (f"Access-Control-Request-Method: {method}", "Access-Control-Request-Headers: content-type")
        for origin in ("https://evil.example", "http://localhost:3000"):
            assert ask(daemon, "OPTIONS", path, f"Origin: {origin}", *wish).status in (401, 405)


@pytest.mark.parametrize("path", ACTIONS)
def test_an_image_a_script_or_a_link_does_nothing(daemon: Daemon, path: str) -> None:
    """GET and HEAD come without an origin. They are answered, the page cannot read it, and they change nothing."""
    for method in ("GET", "HEAD"):
        for query in ("", "?command=touch&command=x", "?_method=POST"):
            for headers in ({"Sec-Fetch-Site": "cross-site"}, {"X-HTTP-Method-Override": "POST"}):
                assert daemon.request(method, path + query, headers=headers).status == 405


@pytest.mark.parametrize("path", READS)
def test_a_read_without_an_origin_changes_nothing(daemon: Daemon, path: str) -> None:
    for headers in ([], ["X-HTTP-Method-Override: DELETE"], ["X-Method-Override: PUT"]):
        assert ask(daemon, "GET", path, *headers).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "rebound.evil.example:8484", "10.0.0.7:8484", "[fe80::1]:8484", "localhost:8484@evil.example"]
)
@pytest.mark.parametrize("path", [*ACTIONS, *READS])
def test_a_name_that_was_bound_to_this_machine_is_refused(daemon: Daemon, path: str, host: str) -> None:
    """DNS rebinding: to the browser it is the page's own host, so there may be no origin."""
    reply = ask(daemon, "GET" if path in READS else "POST", path, host=host)
    assert reply.status == 401 and reply.code == "unauthenticated"


def test_the_pages_for_scrapes_take_no_orders_and_hold_nothing_secret(daemon: Daemon) -> None:
    """They answer to any host name, as scrapes come by many; what they hold is numbers."""
    for path in ("/metrics", "/healthz", "/readyz"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert daemon.observe(path, {"Origin": "https://evil.example"}, method=method).status in (404, 405)
        reply = daemon.observe(path, {"Host": "evil.example", "Origin": "https://evil.example"})
        assert reply.status == 200 and not [name for name in reply.headers if name.startswith("access-control-")]
        for word in ("alice", daemon.request("GET", LEASE).json["sandbox_id"]):
            assert word not in reply.text
    for path in [*ACTIONS, *READS]:
        assert daemon.observe(path, method="POST").status == 404
