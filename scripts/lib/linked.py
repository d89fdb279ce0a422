"""What is linked into the release, from the lock file and the sources that cargo has: the bill of materials, and the notices
that the licences ask for. The same bytes for the same lock file and toolchain, wherever it runs.

    linked.py sbom TARGET VERSION EPOCH BINARY     CycloneDX 1.5, JSON
    linked.py notices TARGET                       the licence texts
    linked.py check TARGET SBOM DEBUGFILE          fails unless the SBOM is true

EPOCH is the time of the release in seconds; DEBUGFILE is what names the sources of the machine code.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
LICENCES = ("LICEN", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE")


def say(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def tree(target):
    """(name, version) of what cargo links: the metadata has no features of one target and no dependencies of tests."""
    lines = say("cargo", "tree", "--locked", "--target", target, "--prefix", "none", "--edges", "normal,no-proc-macro")
    return {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, lines.splitlines())}


def linked(target):
    """The agent, its crates in order, and which of them need which."""
    metadata = json.loads(
        say("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    wanted = tree(target)
    packages = {p["id"]: p for p in metadata["packages"] if (p["name"], p["version"]) in wanted}
    edges = {}
    for node in metadata["resolve"]["nodes"]:
        needs = [d["pkg"] for d in node["deps"] if any(k["kind"] is None for k in d["dep_kinds"])]
        edges[node["id"]] = [n for n in needs if n in packages]
    agent = packages.pop(metadata["resolve"]["root"])
    if len(packages) + 1 != len(wanted):
        sys.exit(f"!!! cargo metadata and cargo tree do not agree on what is linked for {target}")
    return agent, sorted(packages.values(), key=lambda p: (p["name"], p["version"])), edges


def lock():
    """The digest of each crate's archive in the registry."""
    packages = tomllib.loads(Path("Cargo.lock").read_text())["package"]
    return {(p["name"], p["version"]): p.get("checksum") for p in packages}


def purl(name, version):
    return f"pkg:cargo/{name}@{version.replace('+', '%2B')}"


def toolchain(target):
    """What the toolchain adds to every program: neither is in the lock file."""
    release = re.search(r"^release: (\S+)$", say("rustc", "--version", "--verbose"), re.M)[1]
    archive = Path(say("rustc", "--print", "sysroot").strip(), "lib/rustlib", target, "lib/self-contained/libc.a")
    # The C library names its version once, as a text of its own.
    musl = re.search(rb"\0(1\.\d+\.\d+)\0", archive.read_bytes())[1].decode()
    parts = [("rust-std", release, "Apache-2.0 OR MIT", "https://github.com/rust-lang/rust"),
             ("musl", musl, "MIT", "https://musl.libc.org")]
    return [{"type": "library", "bom-ref": f"pkg:generic/{name}@{version}", "name": name, "version": version,
             "licenses": [{"expression": licence}], "purl": f"pkg:generic/{name}@{version}",
             "externalReferences": [{"type": "website", "url": home}],
             "properties": [{"name": "tunnelward:from", "value": "toolchain"}]} for name, version, licence, home in parts]


def component(package, checksums):
    name, version = package["name"], package["version"]
    checksum = checksums.get((name, version))
    if package["source"] != REGISTRY or not checksum or not package["license"]:
        sys.exit(f"!!! {name} {version} is not from the registry, or has no digest or no licence")
    found = {"type": "library", "bom-ref": purl(name, version), "name": name, "version": version, "scope": "required",
             "hashes": [{"alg": "SHA-256", "content": checksum}],
             # The older way to write OR.
             "licenses": [{"expression": " OR ".join(part.strip() for part in package["license"].split("/"))}],
             "purl": purl(name, version)}
    if package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def sbom(target, version, epoch, binary):
    agent, packages, edges = linked(target)
    checksums, runtime = lock(), toolchain(target)
    name = {p["id"]: purl(p["name"], p["version"]) for p in [agent, *packages]}
    digest = hashlib.sha256(Path(binary).read_bytes()).hexdigest()
    depends = [{"ref": name[p["id"]], "dependsOn": sorted({name[n] for n in edges[p["id"]]})} for p in [agent, *packages]]
    depends[0]["dependsOn"] += [part["bom-ref"] for part in runtime]
    depends += [{"ref": part["bom-ref"], "dependsOn": []} for part in runtime]
    stamp = datetime.fromtimestamp(int(epoch), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'tunnelward {version} {target} {digest}')}",
        "metadata": {
            "timestamp": stamp,
            "component": {"type": "application", "bom-ref": name[agent["id"]], "name": "tunnelward", "version": version,
                          "hashes": [{"alg": "SHA-256", "content": digest}],
                          "licenses": [{"expression": agent["license"]}], "purl": name[agent["id"]]},
            "properties": [{"name": "tunnelward:target", "value": target}]},
        "components": [component(p, checksums) for p in packages] + runtime,
        "dependencies": depends}
    print(json.dumps(document, indent=1))


def notices(target):
    _, packages, _ = linked(target)
    texts = {}
    print("tunnelward contains the following software. Each part is followed by the texts of its licence; a text that many\n"
          "share stands once, at the end.\n")
    for package in packages:
        home = Path(package["manifest_path"]).parent
        files = sorted(f for f in home.rglob("*") if f.is_file() and f.name.upper().startswith(LICENCES)
                       and f.suffix not in (".rs", ".py", ".toml"))
        if not files:
            sys.exit(f"!!! {package['name']} {package['version']} comes without the text of its licence")
        print(f"{package['name']} {package['version']}    {package['license']}\n    {package['repository'] or ''}")
        for file in files:
            text = "\n".join(line.rstrip() for line in file.read_text(errors="replace").splitlines()).strip()
            key = texts.setdefault(text, f"text {len(texts) + 1}")
            print(f"    {file.relative_to(home)}: {key}")
        print()
    print("rust-std    Apache-2.0 OR MIT\n    the file RUST-STD.html\n")
    mit = Path(say("rustc", "--print", "sysroot").strip(), "share/doc/rust/licenses/MIT.txt").read_text().strip()
    mit = mit.split("Permission is", 1)[1]
    print("musl    MIT\n    Copyright © 2005-2020 Rich Felker, et al.: "
          f"{texts.setdefault(f'Permission is{mit}', f'text {len(texts) + 1}')}\n")
    for text, key in texts.items():
        print(f"{'=' * 100}\n{key}\n\n{text}\n")


def check(target, bom, debug):
    """The SBOM against two others: what cargo would link, and whose sources the machine code is made from."""
    document = json.loads(Path(bom).read_text())
    components = {(c["name"], c["version"]): c for c in document["components"] if c["purl"].startswith("pkg:cargo/")}
    agent = document["metadata"]["component"]
    wanted = tree(target) - {(agent["name"], agent["version"])}
    if components.keys() != wanted:
        sys.exit(f"!!! {bom}: not what cargo links: {sorted(components.keys() ^ wanted)}")
    for key, checksum in lock().items():
        if key in components and components[key]["hashes"] != [{"alg": "SHA-256", "content": checksum}]:
            sys.exit(f"!!! {bom}: {key} has another digest in Cargo.lock")
    sources = {match.decode() for match in re.findall(rb"\0/crates/([A-Za-z0-9_.+-]+)/", Path(debug).read_bytes())}
    strange = sources - {f"{name}-{version}" for name, version in components}
    # A debug file that names nothing would agree with everything.
    if strange or len(sources) < len(components) // 2:
        sys.exit(f"!!! {bom}: code of {sorted(strange)} is linked; {len(sources)} crates have code")
    refs = {c["bom-ref"] for c in document["components"]} | {agent["bom-ref"]}
    if {d["ref"] for d in document["dependencies"]} != refs or len(refs) != len(document["components"]) + 1:
        sys.exit(f"!!! {bom}: the dependencies are not those of the components")
    print(f"    {len(components)} crates, code of {len(sources)} of them", file=sys.stderr)


if __name__ == "__main__":
    {"sbom": sbom, "notices": notices, "check": check}[sys.argv[1]](*sys.argv[2:])
