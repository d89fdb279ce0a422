"""An MCP server on the Python SDK, for the interop tests: both eras, over stdio or Streamable HTTP.

    sdk_server.py stdio
    sdk_server.py http PORT      (listens on 127.0.0.1, path /mcp)
"""

import sys

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("tunnelward-interop", instructions="Tools, resources and prompts with answers that never change.")


@server.tool()
def echo(text: str) -> str:
    """Returns the text."""
    return text


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two integers of any size."""
    return a + b


@server.tool()
async def slow(steps: int, ctx: Context) -> str:
    """Reports its progress, one step every 50 ms."""
    for step in range(1, steps + 1):
        await anyio.sleep(0.05)
        await ctx.report_progress(step, steps, f"step {step}")
    return f"{steps} steps done"


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("this tool always fails")


@server.resource("note://fixed")
def note() -> str:
    """A text that never changes."""
    return "a line\nand äöü 漢字 \U0001f600"


@server.resource("note://{name}")
def named_note(name: str) -> str:
    """A text made from its name."""
    return f"the note {name}"


@server.prompt()
def greet(name: str) -> str:
    """Asks for a greeting."""
    return f"Greet {name}."


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["stdio"]:
            server.run("stdio")
        case ["http", port]:
            server.run("streamable-http", host="127.0.0.1", port=int(port))
        case _:
            sys.exit(__doc__)
