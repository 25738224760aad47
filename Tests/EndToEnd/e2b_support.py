"""The fake E2B cloud as a process, and the official SDK in virtual environments of their own."""

import json
import os
import pathlib
import subprocess
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
API_KEY = "e2b_" + "0123456789abcdef" * 2 + "01234567"
SDK_VERSIONS = ["2.7.0", "2.45.1", "2.63.0"]


def executable(name):
    """The latest build of a program; SANDBOX_MANAGER_BIN names another folder than SwiftPM's own."""
    if folder := os.environ.get("SANDBOX_MANAGER_BIN"):
        return pathlib.Path(folder) / name
    builds = [path for kind in ("debug", "release") if (path := ROOT / ".build" / kind / name).exists()]
    assert builds, f"build it first: swift build --product {name}"
    return max(builds, key=lambda path: path.stat().st_mtime)


class FakeE2B:
    """A running fake cloud. It ends with this process at the latest, as it reads our end of a pipe."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [executable("fake-e2b"), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        addresses = json.loads(self.process.stdout.readline())
        self.api_url = addresses["apiURL"]
        self.sandbox_url = addresses["sandboxURL"]

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def environment(self):
        """What points a client at this cloud."""
        return {"E2B_API_KEY": API_KEY, "E2B_API_URL": self.api_url, "E2B_SANDBOX_URL": self.sandbox_url}

    def call(self, method, path, body=None, headers=None):
        """One request to the control plane: (status, headers, JSON or text)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api_url + path, data=data, method=method)
        request.add_header("X-API-Key", API_KEY)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.headers, parsed(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, parsed(error.read())

    def admin(self, method, name, body=None):
        status, _, answer = self.call(method, "/__admin/" + name, body)
        assert status == 200, (name, status, answer)
        return answer

    def sandboxes(self):
        return self.admin("GET", "sandboxes")

    def counters(self):
        return self.admin("GET", "counters")

    def journal(self, operation=None):
        return [item for item in self.admin("GET", "journal") if operation in (None, item["operation"])]

    def fault(self, operation, kind, **options):
        self.admin("POST", "faults", {"operation": operation, "kind": kind, **options})


def parsed(body):
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def sdk_python(version):
    """The interpreter that has this version of the SDK; makes all environments if it is missing."""
    folder = ROOT / ".sdk-venvs"
    if not (folder / version / ".complete").exists():
        subprocess.run([ROOT / "scripts" / "sdk-venvs.sh"], check=True, timeout=600)
    return folder / version / "bin" / "python"


def run_sdk(version, steps, environment, *arguments):
    """Runs one function of `sdk_steps.py` under a version of the SDK and returns what it returned."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("E2B_")}
    result = subprocess.run(
        [sdk_python(version), pathlib.Path(__file__).with_name("sdk_steps.py"), steps, *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])
