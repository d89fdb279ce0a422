"""The calls of scripts/demo: MCP over Streamable HTTP, by hand, so that what goes over the wire can be seen.

    demo.py URL yes|no      (whether the server is the real one)

Prints every call and its answer; exits 1 if one is not what it must be.
"""

import json
import sys
import time
import urllib.request

URL, REAL = sys.argv[1], sys.argv[2] == "yes"
session = {}


def post(message):
    """Sends one message; yields the messages that come back as they arrive."""
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        **session,
    }
    request = urllib.request.Request(URL, json.dumps(message).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        if found := answer.headers.get("mcp-session-id"):
            session["mcp-session-id"] = found
        if answer.headers.get_content_type() == "text/event-stream":
            for line in answer:
                if line.startswith(b"data:") and line[5:].strip():
                    yield json.loads(line[5:])
        elif body := answer.read():
            yield json.loads(body)


def call(number, method, params):
    """One request; prints its notifications and returns its result."""
    print(f"\n--> {method} {json.dumps(params, ensure_ascii=False)}")
    started = time.monotonic()
    for message in post({"jsonrpc": "2.0", "id": number, "method": method, "params": params}):
        after = f"    {(time.monotonic() - started) * 1000:6.0f} ms"
        if "method" in message:
            params = message.get("params", {})
            print(f"{after}  {message['method']} {json.dumps(params)}", flush=True)
            # Servers also say when their lists change, in the middle of whatever call there is.
            if message["method"] == "notifications/progress":
                notes.append(params)
        elif message["id"] != number:
            sys.exit(f"an answer to another request: {message}")
        elif "error" in message:
            sys.exit(f"{after}  error {message['error']}")
        else:
            return message["result"], after
    sys.exit("no answer")


def tool(number, name, arguments, **more):
    result, after = call(number, "tools/call", {"name": name, "arguments": arguments, **more})
    text = result["content"][0]["text"]
    print(f"{after}  {text}")
    return text


def must(condition):
    if not condition:
        sys.exit("that is not the answer that was due")


notes = []
about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "demo", "version": "1"}}
result, after = call(0, "initialize", about)
print(f"{after}  {result['serverInfo']['name']} {result['serverInfo']['version']}, MCP {result['protocolVersion']}")
must(result["serverInfo"]["name"] == ("mcp-servers/everything" if REAL else "lab-stub"))
session["mcp-protocol-version"] = result["protocolVersion"]
list(post({"jsonrpc": "2.0", "method": "notifications/initialized"}))

result, after = call("a text as id", "tools/list", {})
names = [t["name"] for t in result["tools"]]
print(f"{after}  {len(names)} tools: {', '.join(names)}")
must("echo" in names)

words = "through the tunnel: äöü 漢字 \U0001f600"
must(words in tool(1, "echo", {"message": words} if REAL else {"text": words}))
if REAL:
    must("42.5" in tool(2, "get-sum", {"a": 2, "b": 40.5}))
    long, arguments = "trigger-long-running-operation", {"duration": 1.5, "steps": 3}
else:
    long, arguments = "stream", {"n": 3, "interval_ms": 500}
notes.clear()
tool(3, long, arguments, _meta={"progressToken": "demo"})
must(len(notes) == 3 and all(n["progressToken"] == "demo" for n in notes))
print()
