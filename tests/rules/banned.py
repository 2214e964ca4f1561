#!/usr/bin/python3
"""Functions that the library's own code does not call. banned.py SOURCE_ROOT

A line that has a reason says it: /* allowed: the reason */
"""

import pathlib
import re
import sys

BANNED = {
    "writes past the end of its target": "gets strcpy strcat sprintf vsprintf stpcpy wcscpy wcscat",
    "keeps hidden state that threads share": "strtok localtime gmtime asctime ctime strerror rand srand setenv putenv",
    "cannot report an error": "atoi atol atoll atof",
    "runs a shell": "system popen",
    "has no bound on the stack it takes": "alloca",
    "waits for time instead of an event": "sleep usleep",
    "prints: the library is silent": "printf vprintf puts putchar perror fprintf vfprintf fputs",
    "ends the process: that is the program's decision": "exit abort quick_exit",
}
REASON = {name: why for why, names in BANNED.items() for name in names.split()}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(REASON) + r")\s*\(")
# Comments and literals, kept as long as they are so that line numbers stay.
NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def blank(found):
    return re.sub(r"[^\n]", " ", found[0])


def faults(path):
    text = path.read_text()
    lines = text.splitlines()
    code = NOT_CODE.sub(blank, text)
    for found in CALL.finditer(code):
        line = code.count("\n", 0, found.start())
        if "/* allowed: " not in lines[line]:
            yield f"{path}:{line + 1}: {found[1]}() {REASON[found[1]]}"


def main():
    src = pathlib.Path(sys.argv[1]) / "src"
    files = sorted(p for p in src.rglob("*") if p.suffix in {".c", ".h"})
    found = [fault for path in files for fault in faults(path)]
    print("1..1")
    print(f"{'not ok' if found else 'ok'} 1 - no banned function in {len(files)} files of src/")
    for fault in found:
        print(f"# {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
