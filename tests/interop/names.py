"""Calls through the tunnel whose every address is a name that a name server tells, in namespaces of their own.

    names.py AGENT LAB USER DIRECTORY NAMESERVER {short,long}

To be run by root in fresh mount and network namespaces. The names are in no file; with `long`, no answer fits into UDP.
Prints one JSON line: what the load generator counted, how the name server was asked, and the log of the agent.
"""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading

AGENT, LAB, USER, DIRECTORY, NAMESERVER, LENGTH = sys.argv[1:]
CALLS = 20
ANSWERS = {1: socket.inet_pton(socket.AF_INET, "127.0.0.1"), 28: socket.inet_pton(socket.AF_INET6, "::1")}
asked = {"udp": 0, "tcp": 0}


def answer(query, truncated):
    """The response to a query with one question (RFC 1035, section 4)."""
    end = query.index(b"\0", 12) + 5
    kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
    found = b"" if truncated or kind not in ANSWERS else ANSWERS[kind]
    flags = 0x8180 | (0x0200 if truncated else 0)
    header = query[:2] + struct.pack("!5H", flags, 1, bool(found), 0, 0)
    record = struct.pack("!3HIH", 0xC00C, kind, 1, 1, len(found)) + found if found else b""
    return header + query[12:end] + record


def serve_udp(listener):
    while True:
        query, peer = listener.recvfrom(512)
        asked["udp"] += 1
        listener.sendto(answer(query, LENGTH == "long"), peer)


def serve_tcp(listener):
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            while len(prefix := stream.read(2)) == 2:
                asked["tcp"] += 1
                response = answer(stream.read(struct.unpack("!H", prefix)[0]), False)
                connection.sendall(struct.pack("!H", len(response)) + response)


def start_name_server():
    family = socket.AF_INET6 if ":" in NAMESERVER else socket.AF_INET
    for kind, serve in ((socket.SOCK_DGRAM, serve_udp), (socket.SOCK_STREAM, serve_tcp)):
        listener = socket.socket(family, kind)
        listener.bind((NAMESERVER, 53))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        threading.Thread(target=serve, args=(listener,), daemon=True).start()


def replace_etc():
    """An /etc in which only the name server knows names."""
    etc = f"{DIRECTORY}/etc"
    os.mkdir(etc, 0o755)
    for name in ("passwd", "group"):
        shutil.copy(f"/etc/{name}", etc)
    with open(f"{etc}/hosts", "w"):
        pass
    with open(f"{etc}/resolv.conf", "w") as file:
        file.write(f"nameserver {NAMESERVER}\n")
    subprocess.run(["mount", "--bind", etc, "/etc"], check=True)


def named(url):
    return url.replace("127.0.0.1", "localhost")


def main(started):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    replace_etc()
    start_name_server()
    lab = subprocess.Popen(
        [LAB, "serve", "--tls", "--dir", f"{DIRECTORY}/lab"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    started.append(lab)
    urls = json.loads(lab.stdout.readline())
    profile = {
        "config_version": 1,
        "health": {"listen_addr": "127.0.0.1:0"},
        "control_plane": {
            "base_url": named(urls["control_plane"]),
            "tunnel_id": urls["tunnel_id"],
            "api_key": "file:" + urls["api_key_file"],
        },
        "ca_bundle": urls["ca"],
        "mcp": {"server_urls": [{"channel": "main", "url": named(urls["stub"])}]},
        "confinement": {"user": USER},
    }
    with open(f"{DIRECTORY}/profile.yaml", "w") as file:
        json.dump(profile, file)
    command = [AGENT, "run", "--config", f"{DIRECTORY}/profile.yaml"]
    if traces := os.environ.get("TUNNELWARD_SUITE_TRACES"):
        command = ["strace", "-D", "-f", "-q", "-e", "raw=all", "-o", f"{traces}/names-{os.getpid()}", *command]
    with open(f"{DIRECTORY}/log", "wb") as log:
        agent = subprocess.Popen(command, stderr=log)
    started.append(agent)
    load = [LAB, "load", "--url", urls["hosted"], "--calls", str(CALLS), "--warmup", "1", "--concurrency", "4"]
    figures = json.loads(subprocess.run(load, stdout=subprocess.PIPE, timeout=60, check=True).stdout)
    agent.terminate()
    code = agent.wait(60)
    with open(f"{DIRECTORY}/log", errors="replace") as log:
        text = log.read()
    print(json.dumps({"errors": figures["errors"], "asked": asked, "exit": code, "log": text}))


if __name__ == "__main__":
    processes = []
    try:
        main(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
