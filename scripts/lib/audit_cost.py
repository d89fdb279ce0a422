"""The measurement of scripts/bench-audit: one agent after the other, without anything, with a call policy, and each with
another durability of its audit log.

    audit_cost.py AGENT LAB CALLS
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AGENT, LAB, CALLS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), int(sys.argv[3])
DURABILITIES, CONCURRENCIES, ROUNDS = ("none", "policy", "os", "batch", "each"), (1, 10), 12
USER = "65534"
# The goal: what `batch` may add to a call at ten calls at a time, in microseconds of CPU time of both processes.
GOAL = 20
# And what a call policy may add, as a share of it: fifty rules, and a schema for the tool that is called.
POLICY_GOAL = 0.05
POLICY = {"version": 1, "rules": [{"id": "handshake", "methods": ["preset:session"]}]
          + [{"id": f"rule{n}", "tools": [f"tool{n}"]} for n in range(48)]
          + [{"id": "echo", "tools": ["echo"], "arguments": {
              "type": "object", "properties": {"text": {"type": "string", "maxLength": 100000}}}}]}


def start(path, log):
    """The agent, once it serves, and its worker."""
    broker = subprocess.Popen([AGENT, "run", "--config", path], stderr=open(log, "wb"))
    begun = time.monotonic()
    while "tunnel-client started" not in Path(log).read_text():
        if broker.poll() is not None or time.monotonic() - begun > 20:
            sys.exit(f"the agent does not start:\n{Path(log).read_text()}")
        time.sleep(0.01)
    return broker, Path(f"/proc/{broker.pid}/task/{broker.pid}/children").read_text().split()[0]


def measure(urls, profile, durability, concurrency, directory):
    """Microseconds of CPU time per call of broker and worker, and the p99 in milliseconds."""
    if durability == "policy":
        profile = profile | {"policy": POLICY}
    elif durability != "none":
        init = [AGENT, "audit", "init", f"{directory}/audit", "--export", f"{directory}/key"]
        init += ["--owner", USER] if os.geteuid() == 0 else []
        subprocess.run(init, check=True, stderr=subprocess.DEVNULL)
        profile = profile | {"audit": {"path": f"{directory}/audit", "durability": durability}}
    path = f"{directory}/profile.yaml"
    Path(path).write_text(json.dumps(profile))
    broker, worker = start(path, f"{directory}/agent.log")
    load = [LAB, "load", "--url", urls["hosted"], "--calls", str(CALLS), "--warmup", "500",
            "--concurrency", str(concurrency), "--pid", f"broker={broker.pid}", "--pid", f"worker={worker}"]
    figures = json.loads(subprocess.run(load, check=True, stdout=subprocess.PIPE, timeout=600).stdout)
    if figures["errors"]:
        sys.exit(f"{figures['errors']} calls failed: {figures['first_error']}")
    broker.terminate()
    if broker.wait(30) != 0:
        sys.exit(f"the agent failed:\n{Path(directory, 'agent.log').read_text()}")
    if durability not in ("none", "policy"):
        verify = [AGENT, "audit", "verify", f"{directory}/audit", "--key", f"{directory}/key", "--json"]
        report = json.loads(subprocess.run(verify, check=True, stdout=subprocess.PIPE).stdout)
        if report["calls"]["finished"] < CALLS:
            sys.exit(f"{report['calls']['finished']} of {CALLS} calls are in the log")
    seconds = figures["cpu_seconds"]
    return [seconds[name] * 1e6 / CALLS for name in ("broker", "worker")] + [figures["p99_ms"]]


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
        profile["confinement"] = {"user": USER}
    found = {(c, d): [] for c in CONCURRENCIES for d in DURABILITIES}
    for n in range(ROUNDS):
        # In another order each time: nothing is always what comes after something else.
        for concurrency, durability in random.sample(list(found), len(found)):
            own = f"{directory}/{n}-{concurrency}-{durability}"
            os.mkdir(own, 0o755)
            found[concurrency, durability].append(measure(urls, profile, durability, concurrency, own))
    goals = []
    for concurrency in CONCURRENCIES:
        print(f"{concurrency} at a time, {CALLS} calls: CPU µs per call, medians of {ROUNDS} rounds; added: in the same "
              "round, median and quartiles")
        plain = [sum(r[:2]) for r in found[concurrency, "none"]]
        for durability in DURABILITIES:
            rounds = found[concurrency, durability]
            broker, worker, p99 = (statistics.median(r[n] for r in rounds) for n in range(3))
            more = [sum(r[:2]) - p for r, p in zip(rounds, plain)]
            low, added, high = statistics.quantiles(more, n=4)
            share = added / statistics.median(plain)
            print(f"  {durability:<6} {broker + worker:7.1f} (broker {broker:6.1f}, worker {worker:6.1f})  "
                  f"added {added:+6.1f} ({low:+.1f} to {high:+.1f}), {share:+.1%}  p99 {p99:6.2f} ms", flush=True)
            if (concurrency, durability) == (10, "policy"):
                met = "met" if share < POLICY_GOAL else "missed"
                goals.append(f"goal: a policy adds less than {POLICY_GOAL:.0%} at 10 calls at a time: {met}")
            if (concurrency, durability) == (10, "batch"):
                met = "met" if added <= GOAL else "missed"
                goals.append(f"goal: batch adds at most {GOAL} µs at 10 calls at a time: {met}")
    print("\n".join(goals))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tunnelward-") as where:
        # The agent runs as another user, and its log is in here.
        os.chmod(where, 0o755)
        arguments = [LAB, "serve", "--tls", "--h2", "--dir", f"{where}/lab"]
        served = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            main(where, served)
        finally:
            served.kill()
            served.wait()
