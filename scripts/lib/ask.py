"""One tool call through the hosted endpoint of the lab, in a session of its own.

    ask.py URL TOOL ARGUMENTS EXPECTED      exits 1 unless the text EXPECTED is in the answer
"""

import json
import sys
import urllib.request

url, tool, arguments, expected = sys.argv[1:]
session = {}


def post(message):
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", **session}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(message).encode(), headers), timeout=90) as answer:
        if found := answer.headers.get("mcp-session-id"):
            session["mcp-session-id"] = found
        return answer.read().decode()


about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "ask", "version": "1"}}
post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": about})
session["mcp-protocol-version"] = "2025-11-25"
post({"jsonrpc": "2.0", "method": "notifications/initialized"})
text = post({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
             "params": {"name": tool, "arguments": json.loads(arguments)}})
print(text)
sys.exit(expected not in text or '"result"' not in text)
