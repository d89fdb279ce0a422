"""Reduces traces of the agent to the rules of the worker's allowlist that were used, as JSON.

    recorded.py DIRECTORY POLICY      (DIRECTORY: files of `strace -f -e raw=all`)

A worker is told apart by what it installs: two filters, and then it starts no program.
"""

import json
import re
import sys
from pathlib import Path

LINE = re.compile(r"^(\d+) +(\w+)\(([^)]*)\)?(?: += (-?\w+))?")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>.*= (-?\w+)")
THREAD = 0x7D0F00


def holds(condition, arguments):
    width = 0xFFFFFFFF if condition["type"] == "dword" else 0xFFFFFFFFFFFFFFFF
    value, wanted = arguments[condition["index"]] & width, condition["val"] & width
    operator = condition["op"]
    if isinstance(operator, dict):
        return value & operator["masked_eq"] == wanted
    return {"eq": value == wanted, "ne": value != wanted, "le": value <= wanted, "lt": value < wanted,
            "ge": value >= wanted, "gt": value > wanted}[operator]


def calls_of_workers(path):
    """(call, arguments) of everything that workers and their threads did after their last filter."""
    installed, fenced, clones, history = {}, set(), {}, {}
    for line in path.read_text(errors="replace").splitlines():
        if match := RESUMED.match(line):
            pid, call, answer = match.groups()
            # Only the thread of a worker: what it does counts, and it has no history of its own.
            if call == "clone" and clones.pop(pid, False) and not answer.startswith("-"):
                fenced.add(str(int(answer, 0)))
            continue
        match = LINE.match(line)
        if not match:
            continue
        pid, call, text, answer = match.groups()
        words = [w.strip() for w in text.replace("<unfinished ...>", "").split(",") if w.strip()]
        arguments = [int(w, 0) if re.fullmatch(r"-?(0x[0-9a-f]+|\d+)", w) else 0 for w in words][:6]
        arguments += [0] * (6 - len(arguments))
        if call == "execve":
            installed[pid] = 0
            fenced.discard(pid)
            history.pop(pid, None)
        elif call == "seccomp" and arguments[0] == 1:
            installed[pid] = installed.get(pid, 0) + 1
            history[pid] = []
            if installed[pid] == 2:
                fenced.add(pid)
            else:
                fenced.discard(pid)
        elif pid in fenced:
            if call == "clone" and arguments[0] == THREAD:
                # Answered on this line, or on another one after what others did meanwhile.
                clones[pid] = not answer
                if answer and not answer.startswith("-"):
                    fenced.add(str(int(answer, 0)))
            history.setdefault(pid, []).append((call, arguments))
    # A server installs two or three filters as well, but then becomes another program, which forgets its history.
    for pid in fenced:
        yield from history.get(pid, [])


def main():
    policy = json.loads(Path(sys.argv[2]).read_text())["worker_allow"]["filter"]
    used = set()
    for path in sorted(Path(sys.argv[1]).iterdir()):
        for call, arguments in calls_of_workers(path):
            for number, rule in enumerate(policy):
                if rule["syscall"] == call and all(holds(c, arguments) for c in rule.get("args", [])):
                    used.add(number)
    rules = [
        {"syscall": policy[n]["syscall"],
         "args": [{k: v for k, v in c.items() if k != "comment"} for c in policy[n].get("args", [])]}
        for n in sorted(used)
    ]
    print("[\n" + ",\n".join("  " + json.dumps(rule) for rule in rules) + "\n]")


if __name__ == "__main__":
    main()
