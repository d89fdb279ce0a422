"""Makes a fixed set of MCP calls with the Python SDK's client and prints what came back as JSON, one step a line.

    client.py --calls SET --mode legacy|auto|2026-07-28 [--dir D] [--session] URL
    client.py --calls SET --mode legacy|auto|2026-07-28 [--dir D] -- COMMAND ARGUMENT...

The same calls made directly to a server and through the tunnel must print the same lines: what differs from one run
to the next by nature (clock times, session ids, the environment) is replaced by a placeholder. An answer that is an
error is a result like any other; anything else that goes wrong ends the program with a traceback and exit code 1.
"""

import argparse
import asyncio
import base64
import binascii
import json
import re
import warnings

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import PromptReference, ResourceTemplateReference
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

warnings.simplefilter("ignore")

UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
TIMES = [
    re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"),
    re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4} \([^)]*\)"),
    re.compile(r"\b\d{1,2}:\d\d:\d\d( [AP]M)?\b"),
    re.compile(r"\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"),
]


def normal(value, key=None):
    """The value without what changes from run to run."""
    if isinstance(value, dict):
        return {k: normal(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [normal(v) for v in value]
    if not isinstance(value, str):
        return value
    if key == "blob":
        try:
            text = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return value
        return {"base64 of": normal(text)}
    value = UUID.sub("<uuid>", value)
    for pattern in TIMES:
        value = pattern.sub("<time>", value)
    return value


class Run:
    def __init__(self, client, directory):
        self.client = client
        self.directory = directory
        self.modern = client.protocol_version in MODERN_PROTOCOL_VERSIONS

    async def step(self, name, awaitable, adjust=lambda result: result, **more):
        """Awaits the answer and prints it."""
        show(name, **await self.outcome(awaitable, adjust), **more)

    @staticmethod
    async def outcome(awaitable, adjust=lambda result: result):
        try:
            result = await asyncio.wait_for(awaitable, 30)
        except MCPError as error:
            return {"error": error.error.model_dump(mode="json", by_alias=True, exclude_unset=True)}
        return {"result": adjust(result.model_dump(mode="json", by_alias=True, exclude_unset=True))}

    async def tool(self, name, arguments=None, adjust=lambda result: result):
        await self.step(f"tools/call {name}", self.client.call_tool(name, arguments or {}), adjust)

    async def tool_with_progress(self, name, arguments):
        seen = []

        async def progress(done, total, message):
            seen.append([done, total, message])

        await self.step(
            f"tools/call {name} with progress",
            self.client.call_tool(name, arguments, progress_callback=progress),
            progress=seen,
        )

    async def concurrently(self, name, arguments):
        """Several calls at once: each answer must belong to its own call."""
        calls = (self.outcome(self.client.call_tool(name, a)) for a in arguments)
        show(f"{len(arguments)} concurrent calls of {name}", results=await asyncio.gather(*calls))

    async def lists(self, *, resources=False, prompts=False):
        await self.step("tools/list", self.client.list_tools(), by_name("tools"))
        if resources:
            await self.step("resources/list", self.client.list_resources(), by_name("resources"))
            await self.step(
                "resources/templates/list", self.client.list_resource_templates(), by_name("resourceTemplates")
            )
        if prompts:
            await self.step("prompts/list", self.client.list_prompts(), by_name("prompts"))
        if not self.modern:
            await self.step("ping", self.client.send_ping())

    async def everything(self):
        await self.lists(resources=True, prompts=True)
        # Every tool that the server offers to a client without features of its own.
        await self.tool("echo", {"message": "through the tunnel: äöü 漢字 \U0001f600 \u2028 \x7f \"quoted\" \\ 9007199254740993"})
        await self.tool("get-sum", {"a": 2, "b": 40.5})
        for kind in ("error", "success", "debug"):
            await self.tool("get-annotated-message", {"messageType": kind, "includeImage": kind == "success"})
        await self.tool("get-env", adjust=environment)
        await self.tool("get-resource-links", {"count": 3})
        await self.tool("get-resource-reference", {"resourceType": "Text", "resourceId": 1})
        await self.tool("get-resource-reference", {"resourceType": "Blob", "resourceId": 2})
        for place in ("New York", "Chicago", "Los Angeles"):
            await self.tool("get-structured-content", {"location": place})
        await self.tool("get-tiny-image")
        text = "data:text/plain;base64," + base64.b64encode(b"compress me " * 100).decode()
        await self.tool("gzip-file-as-resource", {"name": "a.gz", "data": text, "outputType": "resource"})
        await self.tool("gzip-file-as-resource", {"name": "b.gz", "data": text, "outputType": "resourceLink"})
        await self.tool("toggle-simulated-logging")
        await self.tool("toggle-simulated-logging")
        await self.tool("toggle-subscriber-updates")
        await self.tool("toggle-subscriber-updates")
        await self.tool("trigger-long-running-operation", {"duration": 0.1, "steps": 2})
        await self.tool_with_progress("trigger-long-running-operation", {"duration": 1, "steps": 5})
        await self.concurrently("echo", [{"message": f"message {n}"} for n in range(8)])
        await self.tool("simulate-research-query", {"topic": "tunnels"})
        await self.tool("no-such-tool")
        await self.tool("get-sum", {"a": "not a number"})
        await self.step("resources/read text", self.client.read_resource("demo://resource/dynamic/text/7"))
        await self.step("resources/read blob", self.client.read_resource("demo://resource/dynamic/blob/8"))
        await self.step("resources/read document", self.client.read_resource("demo://resource/static/document/features.md"))
        await self.step("resources/read unknown", self.client.read_resource("demo://no/such/thing"))
        await self.step("resources/subscribe", self.client.subscribe_resource("demo://resource/dynamic/text/1"))
        await self.step("resources/unsubscribe", self.client.unsubscribe_resource("demo://resource/dynamic/text/1"))
        await self.step("prompts/get simple", self.client.get_prompt("simple-prompt"))
        await self.step("prompts/get arguments", self.client.get_prompt("args-prompt", {"city": "Bern", "state": "BE"}))
        await self.step("prompts/get missing argument", self.client.get_prompt("args-prompt", {}))
        await self.step(
            "prompts/get resource", self.client.get_prompt("resource-prompt", {"resourceType": "Text", "resourceId": "3"})
        )
        await self.step(
            "completion/complete prompt",
            self.client.complete(
                PromptReference(type="ref/prompt", name="completable-prompt"), {"name": "department", "value": "E"}
            ),
        )
        await self.step(
            "completion/complete resource",
            self.client.complete(
                ResourceTemplateReference(type="ref/resource", uri="demo://resource/dynamic/text/{resourceId}"),
                {"name": "resourceId", "value": "4"},
            ),
        )
        await self.step("logging/setLevel", self.client.set_logging_level("emergency"))

    async def sdk(self):
        await self.lists(resources=True, prompts=True)
        await self.tool("echo", {"text": "äöü 漢字 \U0001f600 \u2028 \x7f \"quoted\" \\"})
        await self.tool("add", {"a": 9007199254740993, "b": 10**30})
        await self.tool("fail")
        await self.tool("no-such-tool")
        await self.tool("add", {"a": "x"})
        await self.tool("slow", {"steps": 1})
        await self.tool_with_progress("slow", {"steps": 5})
        await self.concurrently("slow", [{"steps": n} for n in (4, 1, 3, 2)])
        await self.step("resources/read", self.client.read_resource("note://fixed"))
        await self.step("resources/read template", self.client.read_resource("note://tunnel"))
        await self.step("resources/read unknown", self.client.read_resource("no://such/resource"))
        await self.step("prompts/get", self.client.get_prompt("greet", {"name": "everyone"}))
        await self.step("prompts/get unknown", self.client.get_prompt("no-such-prompt"))

    async def filesystem(self):
        file = f"{self.directory}/notes/a.txt"
        await self.lists()
        await self.tool("list_allowed_directories")
        await self.tool("create_directory", {"path": f"{self.directory}/notes"})
        await self.tool("write_file", {"path": file, "content": "one\ntwo\näöü 漢字\n"})
        await self.tool("read_text_file", {"path": file})
        await self.tool("read_file", {"path": file})
        await self.tool("read_text_file", {"path": file, "head": 1})
        await self.tool("read_media_file", {"path": file})
        await self.tool("read_multiple_files", {"paths": [file, f"{self.directory}/missing"]})
        await self.tool("edit_file", {"path": file, "edits": [{"oldText": "two", "newText": "2"}], "dryRun": False})
        await self.tool("list_directory", {"path": self.directory})
        await self.tool("list_directory_with_sizes", {"path": f"{self.directory}/notes"})
        await self.tool("directory_tree", {"path": self.directory})
        await self.tool("search_files", {"path": self.directory, "pattern": "**/*.txt"})
        await self.tool("get_file_info", {"path": file})
        await self.tool("move_file", {"source": file, "destination": f"{self.directory}/b.txt"})
        await self.tool("read_text_file", {"path": f"{self.directory}/../../../etc/hostname"})
        await self.concurrently("read_text_file", [{"path": f"{self.directory}/{n}"} for n in ("b.txt", "missing")] * 3)

    async def memory(self):
        await self.lists()
        entity = {"name": "tunnel", "entityType": "thing", "observations": ["goes through"]}
        await self.tool("create_entities", {"entities": [entity, {**entity, "name": "wall"}]})
        link = {"from": "tunnel", "to": "wall", "relationType": "pierces"}
        await self.tool("create_relations", {"relations": [link]})
        note = {"entityName": "wall", "contents": ["is thick"]}
        await self.tool("add_observations", {"observations": [note]})
        await self.tool("read_graph")
        await self.tool("search_nodes", {"query": "thick"})
        await self.tool("open_nodes", {"names": ["tunnel"]})
        await self.tool("delete_observations", {"deletions": [{"entityName": "wall", "observations": ["is thick"]}]})
        await self.tool("delete_relations", {"relations": [link]})
        await self.tool("delete_entities", {"entityNames": ["tunnel", "wall"]})
        await self.tool("read_graph")

    async def time(self):
        await self.lists()
        await self.tool("get_current_time", {"timezone": "Asia/Tokyo"})
        await self.tool(
            "convert_time", {"source_timezone": "Asia/Tokyo", "time": "16:30", "target_timezone": "Asia/Kolkata"}
        )
        await self.tool("get_current_time", {"timezone": "No/Such_Place"})


def show(step, **outcome):
    print(json.dumps({"step": step, **normal(outcome)}, ensure_ascii=False, sort_keys=True), flush=True)


def by_name(key):
    """Servers promise no order of a list."""

    def sort(result):
        return {**result, key: sorted(result[key], key=lambda item: item["name"])}

    return sort


def environment(result):
    """The child of the agent has another environment than a shell's; that there is one is enough."""
    for block in result["content"]:
        if isinstance(json.loads(block["text"]), dict):
            block["text"] = "<environment>"
    return result


class Wire:
    """What the HTTP connection shows of the session that the SDK keeps to itself."""

    def __init__(self):
        self.session = None
        self.ended_with = None
        self.http = httpx2.AsyncClient(timeout=30, trust_env=False, event_hooks={"response": [self.note]})

    async def note(self, response):
        self.session = response.headers.get("mcp-session-id", self.session)
        if response.request.method == "DELETE":
            self.ended_with = response.status_code

    async def after_the_end(self, url):
        """A call in the session that was ended; servers answer 404, some 400."""
        if self.session is None:
            return {"session": False}
        response = await self.http.post(
            url,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
            headers={
                "accept": "application/json, text/event-stream",
                "mcp-session-id": self.session,
                "mcp-protocol-version": "2025-11-25",
            },
        )
        return {"session": True, "ended with": self.ended_with, "status afterwards": response.status_code}


async def main(arguments):
    url = arguments.server[0] if arguments.server[0].startswith("http") else None
    wire = Wire()
    if url:
        server = streamable_http_client(url, http_client=wire.http)
    else:
        server = StdioServerParameters(command=arguments.server[0], args=arguments.server[1:])
    async with wire.http:
        async with Client(server, mode=arguments.mode, cache=None, read_timeout_seconds=30) as client:
            run = Run(client, arguments.dir)
            about = client.session.discover_result if run.modern else client.session.initialize_result
            show(
                "server/discover" if run.modern else "initialize",
                result=about.model_dump(mode="json", by_alias=True, exclude_unset=True),
                version=client.protocol_version,
            )
            await getattr(run, arguments.calls)()
        show("end", **(await wire.after_the_end(url) if url and arguments.session else {}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", required=True, choices=["everything", "sdk", "filesystem", "memory", "time"])
    parser.add_argument("--mode", required=True)
    parser.add_argument("--dir", default="")
    parser.add_argument("--session", action="store_true", help="the server is reached over HTTP: watch the session end")
    parser.add_argument("server", nargs="+")
    asyncio.run(main(parser.parse_args()))
