#!/usr/bin/python3
"""The include law of docs/architecture.md. includes.py SOURCE_ROOT"""

import pathlib
import re
import sys

# Rooms outside src/ that see the public headers only, like any program of a user.
OUTSIDE = ["include", "tools", "examples", "bench", "modules", "tests/conformance"]

ROW = re.compile(r"^\| ([\w/*]+) \|[^|]*\|([\w/* ]*)\|$", re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def read_law(root):
    """The table of docs/architecture.md: for each room, the other rooms that it may include."""
    text = (root / "docs" / "architecture.md").read_text()
    return {room: set(may.split()) for room, may in ROW.findall(text)}


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in {".c", ".h", ".cc", ".hh", ".S"})


def sources_of(src, room):
    """exec has the files that are in it, and not those of its directories, which are rooms themselves."""
    return [p for p in sources(src / room) if room != "exec" or p.parent.name == "exec"]


def includes(path):
    for found in INCLUDE.finditer(path.read_text()):
        yield found[1], found[2]


def room_of(name):
    """core/strand.h is in core, exec/inline/inline.h in exec/inline."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] == "exec" and len(parts) > 2 else parts[0]


def faults_inside(src, room, law):
    row = "exec/*" if room.startswith("exec/") else room
    if row not in law:
        yield f"docs/architecture.md has no row for the room {room}"
    may = {room} | law.get(row, set())
    for path in sources_of(src, room):
        for mark, name in includes(path):
            if mark == "<":
                if (src / name).exists():
                    yield f"{path}: <{name}> is ours and not public: include it as \"{name}\""
            elif not (src / name).is_file():
                yield f"{path}: \"{name}\" is no file of src/"
            elif room_of(name) not in may and f"{pathlib.Path(room_of(name)).parent}/*" not in may:
                yield f"{path}: {room} may not include \"{name}\""


def faults_outside(root, room):
    top = root / room
    for path in sources(top):
        if "build" in path.relative_to(top).parts[0] or path.parent == root / "bench" / "internal":
            continue
        for mark, name in includes(path):
            if (root / "src" / name).is_file():
                yield f"{path}: {name} is internal"
            elif mark == '"' and room == "include":
                yield f"{path}: \"{name}\": public headers include each other as <trenza/...>"
            elif mark == '"' and not any((p / name).is_file() for p in [path.parent, top]):
                yield f"{path}: \"{name}\" is no file of {room}/"
            elif mark == '"' and top not in (path.parent / name).resolve().parents and not (top / name).is_file():
                yield f"{path}: \"{name}\" lies outside {room}/"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    src = root / "src"
    law = read_law(root)
    cases = []
    rooms = sorted(p.name for p in src.iterdir() if p.is_dir())
    rooms += sorted(f"exec/{p.name}" for p in (src / "exec").glob("*") if p.is_dir())
    for room in rooms:
        if sources_of(src, room):
            cases.append((f"src/{room} includes what it may", list(faults_inside(src, room, law))))
    for room in OUTSIDE:
        if (root / room).is_dir():
            cases.append((f"{room} includes public headers only", list(faults_outside(root, room))))
    print(f"1..{len(cases)}")
    for number, (title, faults) in enumerate(cases, 1):
        print(f"{'not ok' if faults else 'ok'} {number} - {title}")
        for fault in faults:
            print(f"# {fault}")
    return 1 if any(faults for _, faults in cases) else 0


if __name__ == "__main__":
    sys.exit(main())
