"""Runs under the official E2B SDK: each function does some calls and returns what the SDK made of the replies."""

import asyncio
import importlib.metadata
import json
import os
import sys

from e2b import AsyncSandbox, Sandbox
from e2b.sandbox.sandbox_api import SandboxQuery

VERSION = tuple(int(part) for part in importlib.metadata.version("e2b").split("."))
METADATA = {"user_id": "u1", "project_id": "p 1&x=%"}


def pause(sandbox):
    return sandbox.beta_pause() if VERSION < (2, 45) else sandbox.pause()


def connect(sandbox_id, **arguments):
    """2.7.0 sends routing headers only on handles that it created, so with one address for all it needs help."""
    if VERSION < (2, 45):
        arguments["headers"] = {"E2b-Sandbox-Id": sandbox_id, "E2b-Sandbox-Port": "49983"}
    return Sandbox.connect(sandbox_id, **arguments)


def failure(call):
    """The class of what a call raised, and its words."""
    try:
        return ["returned", repr(call())]
    except Exception as error:  # the SDK's own classes differ by version
        return [type(error).__name__, str(error)]


def lifecycle():
    seen = {}
    sandbox = Sandbox.create(template="my-template", timeout=120, metadata=METADATA, envs={"A": "b"})
    seen["id"] = sandbox.sandbox_id
    seen["is_running"] = sandbox.is_running()
    seen["files"] = [entry.name for entry in sandbox.files.list(".")]
    result = sandbox.commands.run("echo hello; echo oops >&2")
    seen["command"] = [result.stdout, result.stderr, result.exit_code]
    seen["failing command"] = failure(lambda: sandbox.commands.run("exit 3"))
    info = sandbox.get_info()
    seen["info"] = [info.sandbox_id, info.template_id, info.metadata, info.state.value]
    life = (info.end_at - info.started_at).total_seconds()
    seen["life"] = life
    sandbox.set_timeout(200)
    info = sandbox.get_info()
    seen["life after set_timeout"] = (info.end_at - info.started_at).total_seconds()
    connected = connect(sandbox.sandbox_id)
    seen["connected"] = connected.sandbox_id
    other = Sandbox.create(timeout=60)

    pages = Sandbox.list(query=SandboxQuery(metadata=METADATA), limit=1)
    seen["by metadata"] = [[item.sandbox_id for item in pages.next_items()], pages.has_next]
    pages = Sandbox.list(limit=1)
    ids, rounds = [], 0
    while pages.has_next and rounds < 9:
        ids += [item.sandbox_id for item in pages.next_items()]
        rounds += 1
    seen["all, one a page"] = [sorted(ids) == sorted([sandbox.sandbox_id, other.sandbox_id]), rounds]

    pause(sandbox)
    seen["paused again"] = failure(lambda: pause(sandbox))
    seen["is_running when paused"] = sandbox.is_running()
    seen["state when paused"] = sandbox.get_info().state.value
    seen["set_timeout when paused"] = failure(lambda: sandbox.set_timeout(60))
    resumed = connect(sandbox.sandbox_id, timeout=90)
    seen["is_running after connect"] = resumed.is_running()
    info = resumed.get_info()
    seen["life after resume"] = (info.end_at - info.started_at).total_seconds()
    seen["metrics"] = len(sandbox.get_metrics())

    seen["kill"] = sandbox.kill()
    seen["kill again"] = sandbox.kill()
    seen["is_running after kill"] = sandbox.is_running()
    seen["info after kill"] = failure(sandbox.get_info)
    seen["connect after kill"] = failure(lambda: Sandbox.connect(sandbox.sandbox_id))
    other.kill()
    return seen


def asynchronous():
    async def steps():
        sandbox = await AsyncSandbox.create(timeout=60)
        running = await sandbox.is_running()
        files = [entry.name for entry in await sandbox.files.list(".")]
        command = (await sandbox.commands.run("echo hi")).stdout
        killed = await sandbox.kill()
        return {"running": running, "files": files, "command": command, "killed": killed}

    return asyncio.run(steps())


def create():
    """Creates with the given keyword arguments."""
    arguments = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    return failure(lambda: Sandbox.create(**arguments).sandbox_id)


def use(sandbox_id=None):
    """Connects to a sandbox that somebody else made, uses it and kills it."""
    sandbox = connect(sandbox_id or sys.argv[2], timeout=300)
    output = sandbox.commands.run("echo from the sdk").stdout
    info = sandbox.get_info()
    return {"output": output, "metadata": info.metadata, "killed": sandbox.kill()}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()), flush=True)
    # Not through the interpreter's end: threads of an SDK's HTTP client that outlive it crash there now and then.
    os._exit(0)
