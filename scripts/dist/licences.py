#!/usr/bin/env python3
"""Prints the licence texts of every crate that the binary contains, each text once, below the crates that it covers."""

import json
import pathlib
import re
import subprocess
import sys

TARGETS = ("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl")
TEXT = re.compile(r"(licen[cs]e|copying|notice|unlicense)", re.IGNORECASE)


def packages(target):
    """Crates that transship links: normal dependencies, from its own."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    todo, found = [metadata["resolve"]["root"]], set()
    while todo:
        at = todo.pop()
        if at in found:
            continue
        found.add(at)
        for dependency in nodes[at]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return [package for package in metadata["packages"] if package["id"] in found and package["source"]]


def main():
    crates = {(package["name"], package["version"]): package for target in TARGETS for package in packages(target)}
    covered, silent = {}, []
    for (name, version), package in sorted(crates.items()):
        folder = pathlib.Path(package["manifest_path"]).parent
        texts = [path for path in sorted(folder.iterdir()) if path.is_file() and TEXT.search(path.name)]
        if not texts:
            silent.append(f"{name} {version}: {package['license']}")
        for path in texts:
            text = path.read_text(errors="replace").replace("\r\n", "\n").strip()
            covered.setdefault(text, []).append(f"{name} {version}")
    print("transship contains these crates, and SQLite (public domain). It is linked with musl (MIT).\n")
    for text, names in covered.items():
        print("=" * 80)
        print("\n".join(names), text, sep="\n\n", end="\n\n")
    if silent:
        print("=" * 80)
        print("These crates name a licence, and ship no text of it:\n", *silent, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
