"""The real daemon with E2B as its provider, against the fake cloud, and beside the official SDK."""

import signal

import daemon as daemon_module
import pytest
from daemon import sandbox_path

from waiting import wait_until

from e2b_support import API_KEY, SDK_VERSIONS, FakeE2B, run_sdk
from tls_front import TLSFront

# The first one may have to install the SDK.
pytestmark = pytest.mark.timeout(600)

# Names that users know without the prefix.
daemon_module.UNPREFIXED |= {"E2B_API_KEY", "E2B_API_URL", "E2B_SANDBOX_URL", "E2B_DOMAIN", "SSL_CERT_FILE"}


@pytest.fixture
def fake():
    cloud = FakeE2B()
    yield cloud
    cloud.stop()


@pytest.fixture
def begin(start, fake):
    """Starts a daemon that knows the fake cloud and nothing else."""

    def begin(**settings):
        return start({**fake.environment(), "PROVIDER": "e2b", "ENVIRONMENT": "tests", "LOG_LEVEL": "debug", **settings})

    return begin


def ids(fake):
    return [sandbox["id"] for sandbox in fake.sandboxes()]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_whole_lifecycle_over_the_api(begin, fake, version):
    daemon = begin(E2B_API_VERSION=version)
    made = daemon.acquire("ann@x", "web+1", {"metadata": {"colour": "red"}, "envs": {"TOKEN": "a-users-secret"}})
    assert (made.status, made.json["source"], made.json["provider"]) == (201, "created", "e2b")
    sandbox = made.json["sandbox_id"]
    [known] = fake.sandboxes()
    assert known["id"] == sandbox and not known["autoPause"] and 790 < known["remainingSeconds"] <= 800
    assert known["metadata"].items() >= {"user_id": "ann@x", "project_id": "web+1", "colour": "red"}.items()
    assert len(known["metadata"]["sandbox_manager_key"]) == 64
    assert known["metadata"]["sandbox_manager_environment"] == "tests"

    assert daemon.acquire("ann@x", "web+1").json["source"] == "memory"
    assert daemon.output("ann@x", "web+1", "echo", "hello") == "hello\n"
    failed = daemon.execute("ann@x", "web+1", "sh", "-c", "echo oops >&2; exit 3").json
    assert (failed["stderr"], failed["exit_code"]) == ("oops\n", 3)
    assert daemon.execute("ann@x", "web+1", "cat", stdin="x").status == 501

    path = sandbox_path("ann@x", "web+1")
    assert daemon.request("POST", path + "/pause").status == 200
    assert fake.sandboxes()[0]["state"] == "paused"
    resumed = daemon.acquire("ann@x", "web+1")
    assert resumed.status == 200 and resumed.json["sandbox_id"] == sandbox
    assert fake.sandboxes()[0]["state"] == "running"
    assert daemon.request("POST", path + "/keepalive").status == 200

    assert daemon.release("ann@x", "web+1").status == 204
    assert fake.sandboxes() == []
    create = fake.journal("create")[0]
    assert create["target"] == ("/v2/sandboxes" if version == "v2" else "/sandboxes")
    for secret in (API_KEY, made.json["envd_access_token"], "a-users-secret"):
        assert secret not in daemon.log()


@pytest.mark.parametrize("version", SDK_VERSIONS)
def test_the_official_sdk_uses_the_daemons_sandbox_and_the_daemon_notices_its_end(begin, fake, version):
    daemon = begin(HEALTH_FRESH_WINDOW_SECONDS="0")
    sandbox = daemon.acquire("ann", "web").json["sandbox_id"]
    used = run_sdk(version, "use", fake.environment(), sandbox)
    assert used["output"] == "from the sdk\n" and used["killed"] is True
    assert used["metadata"]["user_id"] == "ann" and used["metadata"]["sandbox_manager_environment"] == "tests"
    again = daemon.acquire("ann", "web")
    assert again.status == 201 and again.json["sandbox_id"] != sandbox
    assert ids(fake) == [again.json["sandbox_id"]]


@pytest.mark.parametrize("kind", ["status", "drop", "malformed"])
def test_o1_a_lost_create_is_adopted(begin, fake, kind):
    daemon = begin()
    fake.fault("create", kind, status=504, afterEffect=True)
    reply = daemon.acquire("ann", "web")
    assert reply.status == 201 and ids(fake) == [reply.json["sandbox_id"]]
    assert reply.json["envd_access_token"]


def test_o3_a_kill_that_fails_is_repeated(begin, fake):
    daemon = begin()
    daemon.acquire("ann", "web")
    fake.fault("kill", "status", status=500, times=2)
    assert daemon.release("ann", "web").status in (202, 204)
    wait_until(lambda: fake.sandboxes() == [], "the sandbox is dead", 20)


def test_k3_one_failed_probe_kills_nothing(begin, fake):
    daemon = begin(HEALTH_FRESH_WINDOW_SECONDS="0")
    sandbox = daemon.acquire("ann", "web").json["sandbox_id"]
    fake.admin("POST", "agent", {"id": sandbox, "behaviour": "unrouted"})
    assert daemon.acquire("ann", "web").json["code"] == "health_check_unreachable"
    fake.admin("POST", "agent", {"id": sandbox, "behaviour": "open"})
    assert daemon.acquire("ann", "web").json["sandbox_id"] == sandbox
    assert "killed" not in fake.counters()


@pytest.mark.parametrize(
    "fault, status, code",
    [
        ({"status": 401}, 502, "provider_unauthorized"),
        ({"status": 403}, 502, "provider_unauthorized"),
        ({"status": 404}, 502, "provider_rejected"),
        ({"status": 503, "text": '{"code":503,"message":"busy"}'}, 503, "provider_unavailable"),
    ],
)
def test_refusals_have_words_and_leave_nothing(begin, fake, fault, status, code):
    daemon = begin(CREATE_RETRIES="0")
    fake.fault("create", "status", times=0, **fault)
    reply = daemon.acquire("ann", "web")
    assert (reply.status, reply.json["code"]) == (status, code)
    assert API_KEY not in reply.text and fake.sandboxes() == []


def test_a_full_account_is_a_quota(begin, fake):
    daemon = begin()
    fake.admin("POST", "limits", {"concurrency": 0})
    reply = daemon.acquire("ann", "web")
    assert (reply.status, reply.json["code"]) == (503, "provider_quota")
    assert len(fake.journal("create")) == 1


def test_i11_a_cloud_that_is_away_stops_neither_metrics_nor_known_leases(begin, fake):
    daemon = begin(CREATE_RETRIES="0")
    daemon.acquire("ann", "web")
    # The admin calls live on that port too, so it opens again only with the process.
    fake.stop()
    assert daemon.acquire("ann", "web").json["source"] == "memory"
    assert daemon.acquire("ann", "other").json["code"] == "provider_unavailable"
    assert daemon.observe("/metrics").status == 200


def test_tls_is_verified_against_the_authorities_of_ssl_cert_file(begin, fake, tmp_path):
    front = TLSFront(tmp_path, int(fake.api_url.rsplit(":", 1)[1]))
    try:
        distrusting = begin(E2B_API_URL=front.url, CREATE_RETRIES="0").acquire("ann", "web")
        assert distrusting.status >= 500 and fake.sandboxes() == []
        trusting = begin(E2B_API_URL=front.url, SSL_CERT_FILE=str(front.authority)).acquire("ann", "web")
        assert trusting.status == 201 and ids(fake) == [trusting.json["sandbox_id"]]
    finally:
        front.stop()


def test_t14_a_stopped_daemon_leaves_the_sandboxes_alive(begin, fake):
    daemon = begin()
    sandbox = daemon.acquire("ann", "web").json["sandbox_id"]
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(30) == 0
    assert ids(fake) == [sandbox]


def test_i10_a_daemon_that_was_killed_finds_its_sandboxes_again(begin, fake):
    first = begin()
    sandbox = first.acquire("ann", "web").json["sandbox_id"]
    foreign = fake.call("POST", "/sandboxes", {"templateID": "base", "metadata": {"user_id": "ann"}})[2]["sandboxID"]
    first.signal(signal.SIGKILL)
    first.wait(10)
    second = begin()
    reply = second.acquire("ann", "web")
    assert (reply.status, reply.json["sandbox_id"]) == (200, sandbox)
    assert reply.json["envd_access_token"]
    assert second.output("ann", "web", "echo", "back") == "back\n"
    # What carries none of our labels is nobody's business of ours.
    assert sorted(ids(fake)) == sorted([sandbox, foreign])
