"""The server's side of the protocol's check list, over plain HTTP: what the SDK's own tests do not reach."""

import json
import socket
import time
import urllib.parse

import pytest

from e2b_support import API_KEY, FakeE2B


@pytest.fixture(scope="module")
def process():
    cloud = FakeE2B()
    yield cloud
    cloud.stop()


@pytest.fixture
def fake(process):
    process.admin("POST", "reset")
    process.admin("POST", "limits", {"concurrency": 1000, "tierSeconds": 3600, "rateBurst": 0, "hasV2": True})
    return process


def create(fake, path="/sandboxes", headers=None, **body):
    status, _, reply = fake.call("POST", path, {"templateID": "base", **body}, headers)
    assert status == 201, reply
    return reply


def detail(fake, sandbox):
    return fake.call("GET", "/sandboxes/" + sandbox)[2]


def life(fake, sandbox):
    [found] = [item for item in fake.sandboxes() if item["id"] == sandbox]
    return found["remainingSeconds"]


def edge(fake, method, path, headers=None, body=b""):
    """One raw request to the edge: (status, headers and body as text)."""
    host, port = fake.sandbox_url.removeprefix("http://").split(":")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {(headers or {}).pop('Host', host)}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()] + ["Connection: close", "", ""]
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        reply = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return int(reply.split()[1]), reply


def routing(sandbox, port="49983"):
    return {"E2b-Sandbox-Id": sandbox, "E2b-Sandbox-Port": port}


@pytest.mark.parametrize("key", ["", "e2b_", "e2b_abc", "e2b_xyz1", "sk_e2b_00", "E2B_00"])
def test_s1_a_malformed_key_is_401_in_the_apis_shape(fake, key):
    status, _, body = fake.call("GET", "/v2/sandboxes", headers={"X-API-Key": key})
    assert status == 401 and body["code"] == 401 and body["message"]


def test_s1_the_apis_own_health_needs_no_key(fake):
    assert fake.call("GET", "/health", headers={"X-API-Key": "nonsense"})[0] == 200


def test_s5_one_routing_header_alone_is_400(fake):
    sandbox = create(fake)["sandboxID"]
    assert edge(fake, "GET", "/health", routing(sandbox))[0] == 204
    for name, value in routing(sandbox).items():
        status, reply = edge(fake, "GET", "/health", {name: value})
        assert status == 400 and reply.endswith("missing header")
    assert edge(fake, "GET", "/health", {})[1].endswith("Invalid host")
    assert edge(fake, "GET", "/health", routing("a-b-c"))[1].endswith("Invalid sandbox ID")
    assert edge(fake, "GET", "/health", routing(sandbox, "x"))[1].endswith("Invalid sandbox port")


def test_s5_another_host_names_the_sandbox_itself(fake):
    sandbox = create(fake)["sandboxID"]
    other = create(fake)["sandboxID"]
    fake.admin("POST", "vanish", {"id": other})
    headers = {"Host": f"49983-{sandbox}.e2b.app", **routing(other)}
    assert edge(fake, "GET", "/health", headers)[0] == 204
    assert edge(fake, "GET", "/health", {"Host": "sandbox.e2b.app", **routing(sandbox)})[0] == 204


@pytest.mark.parametrize("path, seconds", [("/sandboxes", 15), ("/v2/sandboxes", 300)])
def test_s6_the_default_timeout_depends_on_the_generation(fake, path, seconds):
    assert life(fake, create(fake, path)["sandboxID"]) == pytest.approx(seconds, abs=2)


@pytest.mark.parametrize(
    "body",
    [
        {"timeout": 0}, {"timeout": -1}, {"timeout": 3601}, {"timeout": "9"}, {"timeout": 1.5}, {"templateID": None},
        {"metadata": {"a": 1}}, {"metadata": []}, {"autoPause": "yes"}, {"autoPauseMemory": False},
    ],
)
def test_s7_creates_that_make_no_sense_are_400(fake, body):
    status, _, reply = fake.call("POST", "/sandboxes", {"templateID": "base", **body})
    assert status == 400 and reply["code"] == 400
    assert fake.sandboxes() == []


def test_s8_s9_the_reply_has_what_the_sdk_insists_on_and_no_times(fake):
    reply = create(fake, secure=True)
    assert {"templateID", "sandboxID", "clientID", "envdVersion"} <= set(reply)
    assert tuple(int(part) for part in reply["envdVersion"].split(".")) >= (0, 1, 0)
    assert reply["envdAccessToken"] and not {"startedAt", "endAt"} & set(reply)
    assert create(fake)["envdAccessToken"] is None


def test_s12_traffic_and_looking_do_not_move_the_expiry(fake):
    sandbox = create(fake, timeout=100)["sandboxID"]
    before = detail(fake, sandbox)["endAt"]
    edge(fake, "GET", "/health", routing(sandbox))
    fake.call("GET", "/v2/sandboxes")
    assert detail(fake, sandbox)["endAt"] == before


def test_s13_connect_on_running_never_shortens(fake):
    sandbox = create(fake, timeout=500)["sandboxID"]
    assert fake.call("POST", f"/sandboxes/{sandbox}/connect", {"timeout": 10})[0] == 200
    assert life(fake, sandbox) > 490
    assert fake.call("POST", f"/sandboxes/{sandbox}/connect", {"timeout": 900})[0] == 200
    assert life(fake, sandbox) > 890
    assert fake.call("POST", f"/sandboxes/{sandbox}/connect", {})[0] == 400
    assert fake.call("POST", f"/sandboxes/{sandbox}/connect", {"timeout": 3601})[0] == 400


def test_s14_connect_on_paused_restarts_the_clock_and_keeps_id_and_token(fake):
    made = create(fake, timeout=1000, secure=True, metadata={"a": "b"})
    sandbox = made["sandboxID"]
    started = detail(fake, sandbox)["startedAt"]
    assert fake.call("POST", f"/sandboxes/{sandbox}/pause")[0] == 204
    fake.admin("POST", "advance", {"seconds": 100})
    status, _, reply = fake.call("POST", f"/sandboxes/{sandbox}/connect", {"timeout": 50})
    assert (status, reply["sandboxID"], reply["envdAccessToken"]) == (201, sandbox, made["envdAccessToken"])
    assert life(fake, sandbox) == pytest.approx(50, abs=1)
    assert detail(fake, sandbox)["startedAt"] > started and detail(fake, sandbox)["metadata"] == {"a": "b"}


def test_s16_timeouts_shorten_expire_and_clamp(fake):
    sandbox = create(fake, timeout=500)["sandboxID"]
    timeout = f"/sandboxes/{sandbox}/timeout"
    assert fake.call("POST", timeout, {"timeout": 20})[0] == 204 and life(fake, sandbox) < 21
    assert fake.call("POST", timeout, {"timeout": 99999})[0] == 204 and 3590 < life(fake, sandbox) <= 3600
    assert fake.call("POST", timeout, {"timeout": 0})[0] == 204
    assert fake.call("GET", f"/sandboxes/{sandbox}")[0] == 404


def test_s17_timeout_and_refresh_of_a_paused_one_are_404(fake):
    sandbox = create(fake)["sandboxID"]
    fake.call("POST", f"/sandboxes/{sandbox}/pause")
    assert fake.call("POST", f"/sandboxes/{sandbox}/timeout", {"timeout": 20})[0] == 404
    assert fake.call("POST", f"/sandboxes/{sandbox}/refreshes", {"duration": 20})[0] == 404


def test_s18_refreshes_never_shorten_and_have_a_floor_and_a_ceiling(fake):
    sandbox = create(fake, timeout=100)["sandboxID"]
    refresh = f"/sandboxes/{sandbox}/refreshes"
    assert fake.call("POST", refresh, {"duration": 20})[0] == 204 and life(fake, sandbox) > 90
    assert fake.call("POST", refresh, {"duration": 3601})[0] == 400
    fake.call("POST", f"/sandboxes/{sandbox}/timeout", {"timeout": 5})
    assert fake.call("POST", refresh, {"duration": 1})[0] == 204 and life(fake, sandbox) > 14


def test_s19_a_pause_frees_the_place_and_stays_listed(fake):
    fake.admin("POST", "limits", {"concurrency": 1})
    sandbox = create(fake)["sandboxID"]
    assert fake.call("POST", "/sandboxes", {"templateID": "base"})[0] == 429
    assert [fake.call("POST", f"/sandboxes/{sandbox}/pause")[0] for _ in range(2)] == [204, 409]
    create(fake)
    assert fake.call("POST", f"/sandboxes/{sandbox}/connect", {"timeout": 9})[0] == 429
    _, _, listed = fake.call("GET", "/v2/sandboxes?state=paused")
    assert [item["sandboxID"] for item in listed] == [sandbox]


def test_s21_expiry_pauses_only_where_it_was_ordered(fake):
    mortal, sleeper = create(fake)["sandboxID"], create(fake, autoPause=True)["sandboxID"]
    fake.admin("POST", "advance", {"seconds": 16})
    assert fake.call("GET", f"/sandboxes/{mortal}")[0] == 404
    assert detail(fake, sleeper)["state"] == "paused"


def test_s22_kill_is_204_then_404_running_or_paused(fake):
    for pause in (False, True):
        sandbox = create(fake)["sandboxID"]
        if pause:
            fake.call("POST", f"/sandboxes/{sandbox}/pause")
        assert [fake.call("DELETE", f"/sandboxes/{sandbox}")[0] for _ in range(2)] == [204, 404]


def test_s24_s25_s27_pages_orders_states_and_totals(fake):
    made = [create(fake, metadata={"n": str(number % 2)})["sandboxID"] for number in range(7)]
    fake.call("POST", f"/sandboxes/{made[0]}/pause")
    for order, expected in (("asc", made), ("desc", made[::-1])):
        seen, token = [], ""
        while token is not None:
            suffix = "&nextToken=" + urllib.parse.quote(token) if token else ""
            status, headers, page = fake.call("GET", f"/v2/sandboxes?limit=3&order={order}{suffix}")
            assert status == 200 and headers["X-Total-Running"] == "6"
            seen += [item["sandboxID"] for item in page]
            token = headers["X-Next-Token"]
        assert seen == expected
    _, headers, paused = fake.call("GET", "/v2/sandboxes?state=paused")
    assert len(paused) == 1 and "X-Total-Running" not in headers
    _, headers, some = fake.call("GET", "/v2/sandboxes?metadata=n%3D1&limit=1")
    assert len(some) == 1 and headers["X-Total-Running"] == "3"
    _, headers, _ = fake.call("GET", "/v2/sandboxes?limit=1&order=asc")
    token = urllib.parse.quote(headers["X-Next-Token"])
    assert fake.call("GET", f"/v2/sandboxes?order=desc&nextToken={token}")[0] == 400
    assert len(fake.call("GET", "/sandboxes")[2]) == 6


@pytest.mark.parametrize(
    "query",
    ["state=asleep", "limit=0", "limit=101", "limit=x", "order=up", "nextToken=zz", "metadata=", "metadata=a",
     "metadata=a%3Db%3Dc", "metadata=%25zz%3D1", "startedAfter=now", "template=base:tag"],
)
def test_s25_bad_values_are_400(fake, query):
    status, _, body = fake.call("GET", "/v2/sandboxes?" + query)
    assert status == 400 and body["code"] == 400


@pytest.mark.parametrize("value", ["p 1&x=%", "a+b", "%2525", "grün", "="])
def test_s26_metadata_is_decoded_three_times(fake, value):
    create(fake, metadata={"k": "other"})
    sandbox = create(fake, metadata={"k": value})["sandboxID"]
    quoted = urllib.parse.quote("k=" + urllib.parse.quote(urllib.parse.quote(value, safe=""), safe=""), safe="")
    assert [item["sandboxID"] for item in fake.call("GET", "/v2/sandboxes?metadata=" + quoted)[2]] == [sandbox]


def test_s31_rate_limits_name_the_wait_and_concurrency_does_not(fake):
    fake.admin("POST", "limits", {"rateBurst": 2, "ratePerSecond": 0.5})
    replies = [fake.call("GET", "/v2/sandboxes") for _ in range(3)]
    assert [status for status, _, _ in replies] == [200, 200, 429]
    assert all("RateLimit-Limit" in headers for _, headers, _ in replies)
    assert replies[2][1]["Retry-After"] == "2" and replies[2][2]["message"] == "Rate limit exceeded"
    fake.admin("POST", "limits", {"rateBurst": 0, "concurrency": 0})
    status, headers, body = fake.call("POST", "/sandboxes", {"templateID": "base"})
    assert status == 429 and "Retry-After" not in headers and "maximum number of concurrent" in body["message"]


def test_s36_the_edge_names_what_is_wrong(fake):
    sandbox = create(fake)["sandboxID"]
    fake.admin("POST", "agent", {"id": sandbox, "behaviour": "closed"})
    status, reply = edge(fake, "GET", "/health", routing(sandbox))
    assert status == 502 and json.loads(reply.split("\r\n\r\n")[1])["port"] == 49983
    fake.admin("POST", "agent", {"id": sandbox, "behaviour": "open"})
    fake.call("POST", f"/sandboxes/{sandbox}/pause")
    for gone in (sandbox, "inosuch"):
        status, reply = edge(fake, "GET", "/health", routing(gone))
        body = json.loads(reply.split("\r\n\r\n")[1])
        assert (status, body["message"], body["code"]) == (502, "The sandbox was not found", 502)


def test_a_secured_agent_wants_its_token(fake):
    made = create(fake, secure=True)
    headers = {**routing(made["sandboxID"]), "Content-Type": "application/json"}
    body = b'{"path":".","depth":1}'
    status, reply = edge(fake, "POST", "/filesystem.Filesystem/ListDir", headers, body)
    assert status == 401 and json.loads(reply.split("\r\n\r\n")[1])["code"] == 401
    headers = {**headers, "X-Access-Token": made["envdAccessToken"]}
    assert edge(fake, "POST", "/filesystem.Filesystem/ListDir", headers, body)[0] == 200
    assert edge(fake, "POST", "/init", headers, b"{}")[0] == 404


@pytest.mark.parametrize("path", ["/nothing", "/sandboxes/iabc/dance", "/v3/sandboxes"])
def test_s38_unknown_routes_are_404_in_the_same_shape(fake, path):
    status, _, body = fake.call("POST", path, {})
    assert status == 404 and "no matching operation was found" in body["message"]


def test_ids_are_checked(fake):
    assert fake.call("GET", "/sandboxes/a-b-c")[0] == 400
    assert fake.call("GET", "/sandboxes/UPPER")[0] == 400
    sandbox = create(fake)["sandboxID"]
    assert fake.call("GET", f"/sandboxes/{sandbox}-6532622b")[0] == 200


@pytest.mark.parametrize("operation, method, call", [("create", "POST", None), ("pause", "POST", "/pause"), ("kill", "DELETE", "")])
@pytest.mark.parametrize("kind", ["drop", "status"])
def test_s40_an_effect_without_its_reply(fake, operation, method, call, kind):
    sandbox = create(fake)["sandboxID"]
    fake.fault(operation, kind, status=504, afterEffect=True)
    path = "/sandboxes" if call is None else f"/sandboxes/{sandbox}{call}"
    if kind == "drop":
        with pytest.raises(OSError):
            fake.call(method, path, {"templateID": "base"})
    else:
        assert fake.call(method, path, {"templateID": "base"})[0] == 504
    after = fake.sandboxes()
    assert {"create": len(after) == 2, "pause": after and after[0]["state"] == "paused", "kill": after == []}[operation]


def test_an_idempotency_key_makes_one(fake):
    key = {"Idempotency-Key": "abc-1"}
    first = create(fake, "/v2/sandboxes", key)
    assert create(fake, "/v2/sandboxes", key)["sandboxID"] == first["sandboxID"]
    status, _, body = fake.call("POST", "/v2/sandboxes", {"templateID": "other"}, key)
    assert status == 422 and body["error_code"] == "idempotency_request_mismatch"
    assert fake.call("POST", "/v2/sandboxes", {"templateID": "base"}, {"Idempotency-Key": "UPPER"})[0] == 400
    assert len(fake.sandboxes()) == 1


def test_latency_and_slow_replies_take_their_time(fake):
    fake.fault("list", "latency", milliseconds=300)
    start = time.monotonic()
    assert fake.call("GET", "/v2/sandboxes")[0] == 200
    assert time.monotonic() - start >= 0.3
    sandbox = create(fake)["sandboxID"]
    fake.fault("get", "slow", bytesPerSecond=2000)
    start = time.monotonic()
    assert detail(fake, sandbox)["sandboxID"] == sandbox
    assert time.monotonic() - start >= 0.1


def test_a_fault_with_a_share_hits_that_share_of_requests_and_the_same_ones_with_the_same_seed(fake):
    def statuses():
        fake.admin("DELETE", "faults")
        fake.admin("POST", "seed", {"number": 7})
        fake.fault("list", "status", status=503, times=0, share=0.3)
        return [fake.call("GET", "/v2/sandboxes")[0] for _ in range(200)]

    first = statuses()
    assert set(first) == {200, 503} and 30 <= first.count(503) <= 90
    assert statuses() == first


def test_the_fake_remembers_when_each_sandbox_lived_and_how_it_ended(fake):
    began = time.time()
    kept, killed = create(fake)["sandboxID"], create(fake, metadata={"user_id": "ann"})["sandboxID"]
    expired, vanished = create(fake, timeout=1)["sandboxID"], create(fake)["sandboxID"]
    fake.call("DELETE", f"/sandboxes/{killed}")
    fake.admin("POST", "vanish", {"id": vanished})
    time.sleep(1.1)
    lives = {one["id"]: one for one in fake.admin("GET", "lives")}
    assert {name: lives[name]["end"] for name in (kept, killed, expired, vanished)} == {
        kept: None, killed: "killed", expired: "expired", vanished: "vanished"
    }
    assert lives[kept]["until"] is None and lives[killed]["metadata"] == {"user_id": "ann"}
    assert all(began - 0.1 <= one["from"] <= time.time() for one in lives.values())
    assert lives[expired]["until"] - lives[expired]["from"] == pytest.approx(1, abs=0.01)


def test_a_closed_port_refuses_and_opens_again(fake):
    sandbox = create(fake)["sandboxID"]
    fake.admin("POST", "port", {"name": "edge", "open": False})
    with pytest.raises(OSError):
        edge(fake, "GET", "/health", routing(sandbox))
    fake.admin("POST", "port", {"name": "edge", "open": True})
    assert edge(fake, "GET", "/health", routing(sandbox))[0] == 204


def test_keys_never_reach_the_journal(fake):
    create(fake)
    assert API_KEY not in json.dumps(fake.journal())
