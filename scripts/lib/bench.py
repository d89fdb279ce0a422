"""The measurement of scripts/bench: starts lab and agent, lets them settle, applies the load, prints the figures.

    bench.py AGENT LAB CALLS
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AGENT, LAB, CALLS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), int(sys.argv[3])
CONCURRENCY = 10


def crates(edges):
    tree = ["cargo", "tree", "--locked", "--target", "x86_64-unknown-linux-musl", "--prefix", "none", "--edges", edges]
    lines = subprocess.run(tree, check=True, capture_output=True, text=True).stdout.splitlines()
    return len({line.removesuffix(" (*)") for line in lines})


def memory(pid):
    """Resident and proportional size in MiB."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("Rss", "Pss"):
            found[name] = int(value.split()[0]) / 1024
    return f"{found['Rss']:5.2f} MiB resident, {found['Pss']:5.2f} MiB proportional"


def worker_of(broker):
    children = Path(f"/proc/{broker}/task/{broker}/children").read_text().split()
    if len(children) != 1:
        sys.exit(f"the broker has {len(children)} children")
    return int(children[0])


def show(name, text):
    print(f"{name:<24}{text}", flush=True)


def main(directory, started):
    lab = subprocess.Popen(
        [LAB, "serve", "--tls", "--h2", "--dir", f"{directory}/lab"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    started.append(lab)
    urls = json.loads(lab.stdout.readline())
    profile = {
        "config_version": 1,
        "health": {"listen_addr": "127.0.0.1:0"},
        "control_plane": {
            "base_url": urls["control_plane"],
            "tunnel_id": urls["tunnel_id"],
            "api_key": "file:" + urls["api_key_file"],
        },
        "ca_bundle": urls["ca"],
        "mcp": {"server_urls": [{"channel": "main", "url": urls["stub"]}]},
    }
    if os.geteuid() == 0:
        profile["confinement"] = {"user": "65534"}
    Path(f"{directory}/profile.yaml").write_text(json.dumps(profile))
    with open(f"{directory}/agent.log", "wb") as log:
        broker = subprocess.Popen([AGENT, "run", "--config", f"{directory}/profile.yaml"], stderr=log)
    started.append(broker)
    time.sleep(3)
    worker = worker_of(broker.pid)

    show("binary", f"{os.path.getsize(AGENT):,} bytes".replace(",", " "))
    show("crates", f"{crates('normal,no-proc-macro')} linked, {crates('normal,build')} to build")
    show("idle: broker", memory(broker.pid))
    show("idle: worker", memory(worker))

    load = [LAB, "load", "--url", urls["hosted"], "--calls", str(CALLS), "--warmup", str(max(CALLS // 10, 100))]
    load += ["--concurrency", str(CONCURRENCY)]
    for name, pid in (("broker", broker.pid), ("worker", worker), ("lab", lab.pid)):
        load += ["--pid", f"{name}={pid}"]
    done = subprocess.run(load, stdout=subprocess.PIPE, timeout=600)
    if done.returncode != 0:
        sys.stderr.buffer.write(Path(f"{directory}/agent.log").read_bytes()[-4000:])
        sys.exit("the load generator failed")
    figures = json.loads(done.stdout)
    if figures["errors"]:
        sys.exit(f"{figures['errors']} calls failed: {figures['first_error']}")
    if worker_of(broker.pid) != worker:
        sys.exit("the worker was replaced under load")

    show("after the load: broker", memory(broker.pid))
    show("after the load: worker", memory(worker))
    show("calls", f"{CALLS}, {CONCURRENCY} at a time, TLS with HTTP/2, echo of the stub")
    show("calls/s", f"{figures['calls_per_second']:.0f}")
    show("latency", f"p50 {figures['p50_ms']:.2f} ms, p99 {figures['p99_ms']:.2f} ms")
    cpu = {name: seconds * 1000 / CALLS for name, seconds in figures["cpu_seconds"].items()}
    agent = cpu["broker"] + cpu["worker"]
    show("CPU s per 1000 calls", f"agent {agent:.3f} (broker {cpu['broker']:.3f}, worker {cpu['worker']:.3f})")
    show("", f"beside it: lab with stub {cpu['lab']:.3f}, load generator {cpu['load']:.3f}")

    broker.terminate()
    if (code := broker.wait(20)) != 0:
        sys.exit(f"the agent exited with {code}")


if __name__ == "__main__":
    processes = []
    with tempfile.TemporaryDirectory(prefix="tunnelward-") as where:
        try:
            main(where, processes)
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()
