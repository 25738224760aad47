"""Fixtures: the daemon as it is shipped, one process for each test or for a file of them."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from daemon import Daemon  # noqa: E402 (the paths come first)
from e2b_support import FakeE2B  # noqa: E402
from fleet import Fleet  # noqa: E402
from redis_support import RedisServer  # noqa: E402
from secrecy import watch  # noqa: E402

StartDaemon = Callable[..., Daemon]

# Files that take half a minute and more begin first: where several run at once, none is left to the end.
LONGEST = [
    f"test_{name}"
    for name in (
        "redis_outage", "fleet", "storm", "dashboards", "exposition", "operator", "warm_pool", "rolling_restart",
        "bad_input", "e2b_sdk", "background_duties", "total_loss",
    )
]  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--daemon",
        type=Path,
        default=ROOT / ".build" / "release" / "sandbox-manager",
        help="the executable under test (default: the release build)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: measures, or takes the whole machine; nothing else runs beside it")
    # So that fixtures end what they have started, however this run is ended.
    signal.signal(signal.SIGTERM, interrupted)
    # Hundreds of connections at once need as many descriptors.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    for item in items:
        # Nothing may hang for ever; what needs longer says so itself.
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120))


@pytest.fixture(autouse=True)
def secrecy() -> Iterator[None]:
    """Names the test in which a secret was shown (I13)."""
    before = len(watch.found)
    yield
    assert watch.found[before:] == [], "a secret was shown"


@pytest.fixture(scope="session", autouse=True)
def secrecy_of_the_run() -> Iterator[None]:
    """At the end every log is looked at once more, with the secrets of all daemons (I13).

    Of all that this process has started: where several run tests at once, no daemon of one meets any of another.
    """
    yield
    logs = watch.look_at_logs()
    assert watch.found == [], "a secret was shown"
    print(f"\nno secret in {logs} logs and {watch.replies_seen} replies")


@pytest.fixture(scope="session")
def executable(request: pytest.FixtureRequest) -> Path:
    path = request.config.getoption("--daemon").resolve()
    if not path.is_file():
        pytest.exit(f"no daemon at {path}; build it: swift build -c release --product sandbox-manager", returncode=2)
    return path


@pytest.fixture(scope="session")
def launch(executable: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Daemon]:
    """Makes a daemon that does not run yet."""

    def make(settings: dict[str, str] | None = None, *arguments: str, token: str | None = None) -> Daemon:
        return Daemon(executable, tmp_path_factory.mktemp("daemon") / "work", settings, arguments, token)

    return make


@pytest.fixture
def start(launch: Callable[..., Daemon]) -> Iterator[StartDaemon]:
    """Starts daemons that end with the test."""
    started: list[Daemon] = []

    def begin(settings: dict[str, str] | None = None, *arguments: str, token: str | None = None) -> Daemon:
        daemon = launch(settings, *arguments, token=token)
        started.append(daemon)
        daemon.start()
        return daemon

    yield begin
    for daemon in started:
        daemon.stop()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, empty."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def cloud() -> Iterator[FakeE2B]:
    """A fake cloud of the test's own, with room for every fleet."""
    found = FakeE2B("--concurrency", "5000")
    yield found
    found.stop()


@pytest.fixture
def fleet(launch: Callable[..., Daemon], cloud: FakeE2B, redis: RedisServer) -> Iterator[Callable[..., Fleet]]:
    """Starts fleets that end with the test: `fleet(2, LIMITS_TOTAL="10")`; `url` names another Redis."""
    fleets: list[Fleet] = []

    def begin(count: int = 2, url: str | None = None, **settings: str) -> Fleet:
        found = Fleet(launch, cloud, url or redis.url, settings)
        fleets.append(found)
        for _ in range(count):
            found.add()
        return found

    yield begin
    if redis.process is not None:
        # What a failed test left frozen would make the end slow.
        redis.thaw()
    for found in fleets:
        found.stop()
