"""The fake E2B server is held against the official SDK, so that it cannot drift into fiction."""

import pytest

from e2b_support import SDK_VERSIONS, FakeE2B, run_sdk

# The first one may have to install the SDK.
pytestmark = pytest.mark.timeout(600)

every_sdk = pytest.mark.parametrize("version", SDK_VERSIONS)


@pytest.fixture
def fake():
    cloud = FakeE2B()
    yield cloud
    cloud.stop()


@every_sdk
def test_a_whole_lifecycle_looks_real_to_the_sdk(fake, version):
    seen = run_sdk(version, "lifecycle", fake.environment())
    not_found = "NotFoundException" if version == "2.7.0" else "SandboxNotFoundException"

    assert seen["is_running"] is True
    assert seen["files"] == ["code"]
    assert seen["command"] == ["hello\n", "oops\n", 0]
    assert seen["failing command"][0] == "CommandExitException"
    assert seen["info"] == [seen["id"], "my-template", {"user_id": "u1", "project_id": "p 1&x=%"}, "running"]
    assert seen["life"] == pytest.approx(120, abs=1)
    assert 199 <= seen["life after set_timeout"] <= 230
    assert seen["connected"] == seen["id"]
    assert seen["by metadata"] == [[seen["id"]], False]
    assert seen["all, one a page"] == [True, 2]
    # 2.7.0 takes a second pause for success, later ones return False.
    assert seen["paused again"][0] == "returned"
    assert seen["is_running when paused"] is False
    assert seen["state when paused"] == "paused"
    assert seen["set_timeout when paused"][0] == not_found
    assert seen["is_running after connect"] is True
    assert seen["life after resume"] == pytest.approx(90, abs=1)
    assert seen["metrics"] == 1
    assert seen["kill"] is True
    assert seen["kill again"] is False
    assert seen["is_running after kill"] is False
    assert seen["info after kill"][0] == not_found
    assert seen["connect after kill"][0] == not_found
    assert fake.sandboxes() == []


@every_sdk
def test_the_asynchronous_sdk_works_too(fake, version):
    seen = run_sdk(version, "asynchronous", fake.environment())
    assert seen == {"running": True, "files": ["code"], "command": "hi\n", "killed": True}


@every_sdk
@pytest.mark.parametrize(
    "status, exception",
    [(400, "SandboxException"), (401, "AuthenticationException"), (403, "SandboxException"), (500, "SandboxException")],
)
def test_refused_creates_raise_what_the_sdk_documents(fake, version, status, exception):
    fake.fault("create", "status", status=status, times=0)
    assert run_sdk(version, "create", fake.environment())[0] == exception
    assert fake.sandboxes() == []


@every_sdk
def test_timeouts_beyond_the_tier_and_of_zero_are_refused(fake, version):
    too_long = run_sdk(version, "create", fake.environment(), '{"timeout": 7200}')
    assert too_long[0] == "SandboxException" and "Timeout cannot be greater than 1 hours" in too_long[1]
    assert fake.sandboxes() == []


@every_sdk
def test_the_concurrency_limit_has_no_retry_after(fake, version):
    fake.admin("POST", "limits", {"concurrency": 0})
    assert run_sdk(version, "create", fake.environment())[0] == "RateLimitException"
    status, headers, body = fake.call("POST", "/sandboxes", {"templateID": "base"})
    assert status == 429 and "Retry-After" not in headers and "concurrent" in body["message"]


@every_sdk
def test_a_504_after_the_effect_leaves_a_sandbox_that_no_reply_named(fake, version):
    fake.fault("create", "status", status=504, afterEffect=True)
    answer = run_sdk(version, "create", fake.environment())
    # The newest one repeats the create by itself and so makes two.
    assert (answer[0], len(fake.sandboxes())) == (
        ("returned", 2) if version == "2.63.0" else ("SandboxException", 1)
    )


@every_sdk
def test_a_dropped_reply_is_a_raw_transport_error(fake, version):
    fake.fault("create", "drop", afterEffect=True)
    assert run_sdk(version, "create", fake.environment())[0] in ("RemoteProtocolError", "ReadError")
    assert len(fake.sandboxes()) == 1


@every_sdk
def test_each_sdk_uses_the_generation_of_the_api_that_it_is_known_for(fake, version):
    run_sdk(version, "create", fake.environment())
    [create] = fake.journal("create")
    assert create["target"] == ("/v2/sandboxes" if version == "2.63.0" else "/sandboxes")
    assert create["headers"]["x-api-key"] == "***"


def test_without_v2_the_newest_sdk_finds_no_route(fake):
    fake.admin("POST", "limits", {"hasV2": False})
    answer = run_sdk("2.63.0", "create", fake.environment())
    assert answer[0] == "SandboxException" and answer[1].startswith("404")
