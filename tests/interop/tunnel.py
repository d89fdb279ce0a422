"""Runs the client's calls twice, directly against a real MCP server and through lab and agent, and prints both.

    tunnel.py --agent PROGRAM --lab PROGRAM SCENARIO

Run it in a network namespace of its own (`unshare -n`): one of the servers listens on every interface. Prints one
JSON object: `direct` and `through`, each a list of runs (one for each client mode), each a list of steps as the client
printed them; and `violations`, what the control plane of the lab saw of broken promises. Everything that was started is stopped.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable
PACKAGES = Path(PYTHON).parents[2] / "node" / "node_modules" / "@modelcontextprotocol"
NODE = shutil.which("node") or sys.exit("node is missing")
PORT = 3001
# Whom the agent becomes when root starts it.
SOMEBODY = 54321


def npm(name, *arguments):
    return [NODE, str(PACKAGES / name / "dist" / "index.js"), *arguments]


def scenarios(directory):
    """Name: the client's set of calls, its modes one after the other, and the server: over stdio or over HTTP."""
    # A copy, because whom the agent becomes may not be let into the checkout.
    sdk = f"{directory}/server/sdk_server.py"
    if not os.path.exists(sdk):
        os.mkdir(f"{directory}/server")
        shutil.copy(HERE / "sdk_server.py", sdk)
    files = f"{directory}/files"
    memory = f"MEMORY_FILE_PATH={directory}/files/memory.jsonl"
    everything_http = ["/usr/bin/env", f"PORT={PORT}", *npm("server-everything", "streamableHttp")]
    return {
        "everything-stdio": ("everything", ["legacy"], "stdio", npm("server-everything", "stdio")),
        # The client asks for the newer era first and falls back: a probe must not spoil the child.
        "everything-stdio-probed": ("everything", ["auto"], "stdio", npm("server-everything", "stdio")),
        "everything-http": ("everything", ["legacy"], "http", everything_http),
        "everything-http-probed": ("everything", ["auto"], "http", everything_http),
        # One agent, one binding, clients of both eras: over stdio that takes two children.
        "sdk-stdio": ("sdk", ["legacy", "2026-07-28", "auto", "legacy"], "stdio", [PYTHON, sdk, "stdio"]),
        "sdk-http": ("sdk", ["legacy", "2026-07-28", "auto", "legacy"], "http", [PYTHON, sdk, "http", str(PORT)]),
        "filesystem-stdio": ("filesystem", ["legacy"], "stdio", npm("server-filesystem", files)),
        "memory-stdio": ("memory", ["auto"], "stdio", ["/usr/bin/env", memory, *npm("server-memory")]),
        "time-stdio": ("time", ["legacy"], "stdio", [PYTHON, "-m", "mcp_server_time"]),
    }


class Started:
    """The processes of this run; leaving the block stops those that are still there."""

    def __init__(self, directory):
        self.directory = directory
        self.all = []

    def start(self, name, argv, **options):
        # What it says goes to a file: a full pipe would stop it.
        log = open(f"{self.directory}/{name}.log", "ab")
        options.setdefault("stdout", log)
        process = subprocess.Popen(argv, stderr=log, start_new_session=True, **options)
        self.all.append(process)
        return process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.all):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def log(self, name):
        return Path(f"{self.directory}/{name}.log").read_text(errors="replace")


def stop(process, seconds):
    """SIGTERM; the exit code."""
    process.terminate()
    return process.wait(seconds)


def wait_for_port(process):
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit("the MCP server did not start")


def make_files(directory):
    """The directory that the calls work in. It belongs to whom the agent becomes."""
    os.mkdir(f"{directory}/files")
    if os.geteuid() == 0:
        os.chown(f"{directory}/files", SOMEBODY, SOMEBODY)


def empty_files(directory):
    """The same directory, empty: a running agent was granted this one, and would not see another in its place."""
    if not os.path.isdir(f"{directory}/files"):
        make_files(directory)
    for entry in os.scandir(f"{directory}/files"):
        shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


def calls(started, set_of_calls, modes, directory, target, *options):
    runs = []
    for mode in modes:
        # Every run finds the same empty directory.
        empty_files(directory)
        argv = [PYTHON, str(HERE / "client.py"), "--calls", set_of_calls, "--mode", mode, "--dir", f"{directory}/files"]
        # The agent gives its children a private umask, which one of the servers shows.
        done = subprocess.run([*argv, *options, "--", *target], capture_output=True, timeout=120, umask=0o077)
        if done.returncode != 0:
            sys.stderr.buffer.write(done.stderr[-8000:])
            for log in ("agent", "server"):
                if os.path.exists(f"{started.directory}/{log}.log"):
                    print(f"--- the last of {log}:", started.log(log)[-8000:], sep="\n", file=sys.stderr)
            sys.exit(f"the client in mode {mode} exited with {done.returncode}")
        # Not splitlines: the answers contain other line separators of Unicode.
        runs.append(done.stdout.decode().strip("\n").split("\n"))
    return runs


def direct(scenario, directory):
    set_of_calls, modes, transport, server = scenario
    with Started(directory) as started:
        if transport == "stdio":
            return calls(started, set_of_calls, modes, directory, server)
        wait_for_port(started.start("server", server, stdin=subprocess.DEVNULL))
        return calls(started, set_of_calls, modes, directory, [f"http://127.0.0.1:{PORT}/mcp"], "--session")


def through(scenario, directory, agent_program, lab_program):
    set_of_calls, modes, transport, server = scenario
    with Started(directory) as started:
        make_files(directory)
        lab = started.start(
            "lab",
            [lab_program, "serve", "--tls", "--h2", "--dir", f"{directory}/lab"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        urls = json.loads(lab.stdout.readline())
        options = []
        if transport == "stdio":
            mcp = {"commands": [{"channel": "main", "command": " ".join(server)}]}
        else:
            wait_for_port(started.start("server", server, stdin=subprocess.DEVNULL))
            mcp = {"server_urls": [{"channel": "main", "url": f"http://127.0.0.1:{PORT}/mcp"}]}
            options = ["--session"]
        if transport == "stdio":
            # What the calls make the servers change. The directory of this file holds the server on the SDK.
            mcp["commands"][0]["confinement"] = {"write": [f"{directory}/files"]}
        # JSON is YAML too.
        profile = {
            "config_version": 1,
            "health": {"listen_addr": "127.0.0.1:0"},
            "control_plane": {
                "base_url": urls["control_plane"],
                "tunnel_id": urls["tunnel_id"],
                "api_key": "file:" + urls["api_key_file"],
            },
            "ca_bundle": urls["ca"],
            "log": {"level": "debug"},
            "mcp": mcp,
        }
        if os.geteuid() == 0:
            profile["confinement"] = {"user": str(SOMEBODY)}
        Path(f"{directory}/profile.yaml").write_text(json.dumps(profile))
        agent = started.start(
            "agent", [agent_program, "run", "--config", f"{directory}/profile.yaml"], stdin=subprocess.DEVNULL
        )
        runs = calls(started, set_of_calls, modes, directory, [urls["hosted"]], *options)
        with urllib.request.urlopen(urls["lab"] + "/lab/violations", timeout=10) as answer:
            violations = json.load(answer)
        code = stop(agent, 20)
        if code != 0:
            sys.exit(f"the agent exited with {code} after SIGTERM; the last of its log:\n{started.log('agent')[-8000:]}")
        return runs, violations


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("--lab", required=True)
    parser.add_argument("scenario")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tunnelward-") as directory:
        os.chmod(directory, 0o755)
        scenario = scenarios(directory)[arguments.scenario]
        expected = direct(scenario, directory)
        shutil.rmtree(f"{directory}/files", ignore_errors=True)
        got, violations = through(scenario, directory, arguments.agent, arguments.lab)
    print(json.dumps({"direct": expected, "through": got, "violations": violations}))


if __name__ == "__main__":
    main()
