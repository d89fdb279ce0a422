"""The measurement of scripts/bench-confinement: two agents in turn, their CPU time per call and their time to start.

    cost.py WITH WITHOUT LAB CALLS
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AGENTS = {"with": os.path.abspath(sys.argv[1]), "without": os.path.abspath(sys.argv[2])}
LAB, CALLS = os.path.abspath(sys.argv[3]), int(sys.argv[4])
ROUNDS, STARTS = 3, 15


def start(agent, profile, log):
    """The agent, and the milliseconds until its worker may use the network."""
    begun = time.monotonic()
    process = subprocess.Popen([agent, "run", "--config", profile], stderr=open(log, "wb"))
    while "tunnel-client started" not in Path(log).read_text():
        if process.poll() is not None or time.monotonic() - begun > 20:
            sys.exit(f"{agent} does not start:\n{Path(log).read_text()}")
        time.sleep(0.0002)
    return process, (time.monotonic() - begun) * 1000


def main(directory, lab):
    urls = json.loads(lab.stdout.readline())
    profile = {
        "config_version": 1,
        "health": {"listen_addr": "127.0.0.1:0"},
        "control_plane": {"base_url": urls["control_plane"], "tunnel_id": urls["tunnel_id"],
                          "api_key": "file:" + urls["api_key_file"]},
        "ca_bundle": urls["ca"],
        "poll_grace": "0s",
        "mcp": {"server_urls": [{"channel": "main", "url": urls["stub"]}]},
    }
    if os.geteuid() == 0:
        profile["confinement"] = {"user": "65534"}
    path, log = f"{directory}/profile.yaml", f"{directory}/agent.log"
    Path(path).write_text(json.dumps(profile))
    starts, cpu = {name: [] for name in AGENTS}, {name: [] for name in AGENTS}
    for _ in range(STARTS):
        for name, agent in AGENTS.items():
            process, took = start(agent, path, log)
            starts[name].append(took)
            process.terminate()
            process.wait(30)
    for _ in range(ROUNDS):
        for name, agent in AGENTS.items():
            broker, _ = start(agent, path, log)
            worker = Path(f"/proc/{broker.pid}/task/{broker.pid}/children").read_text().split()[0]
            load = [LAB, "load", "--url", urls["hosted"], "--calls", str(CALLS), "--warmup", "500", "--concurrency", "10",
                    "--pid", f"broker={broker.pid}", "--pid", f"worker={worker}"]
            figures = json.loads(subprocess.run(load, check=True, stdout=subprocess.PIPE, timeout=600).stdout)
            if figures["errors"]:
                sys.exit(f"{figures['errors']} calls failed: {figures['first_error']}")
            seconds = figures["cpu_seconds"]
            cpu[name].append((seconds["broker"] + seconds["worker"]) * 1000 / CALLS)
            broker.terminate()
            broker.wait(30)
    for what, found, unit in (("CPU s per 1000 calls", cpu, ""), ("start", starts, " ms")):
        confined, bare = (statistics.median(found[name]) for name in ("with", "without"))
        print(f"{what:<22}with {confined:.4f}{unit}, without {bare:.4f}{unit}: {confined - bare:+.4f}{unit}, ratio {confined / bare:.3f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tunnelward-") as where:
        arguments = [LAB, "serve", "--tls", "--h2", "--dir", f"{where}/lab"]
        served = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            main(where, served)
        finally:
            served.kill()
