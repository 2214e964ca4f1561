#!/usr/bin/python3
"""Functions that the library's own code does not call, and a store that it does otherwise. banned.py SOURCE_ROOT

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
# Where the order is what matters: QEMU lets loads pass such a store (os/atomic.h).
STORE = re.compile(r"\b(?:atomic_store_explicit|__atomic_store(?:_n)?)\s*\([^;]*(?:memory_order_seq_cst|__ATOMIC_SEQ_CST)")
# Comments and literals, kept as long as they are so that line numbers stay.
NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def blank(found):
    return re.sub(r"[^\n]", " ", found[0])


def calls(path, pattern):
    """Each call with the number of its line, but for those that are allowed."""
    text = path.read_text()
    lines = text.splitlines()
    code = NOT_CODE.sub(blank, text)
    for found in pattern.finditer(code):
        line = code.count("\n", 0, found.start())
        if "/* allowed: " not in lines[line]:
            yield found, f"{path}:{line + 1}"


def main():
    src = pathlib.Path(sys.argv[1]) / "src"
    files = sorted(p for p in src.rglob("*") if p.suffix in {".c", ".h"})
    banned = [f"{where}: {found[1]}() {REASON[found[1]]}" for path in files for found, where in calls(path, CALL)]
    stores = [f"{where}: take tz_store_seq_cst of os/atomic.h" for path in files for _, where in calls(path, STORE)]
    print("1..2")
    for number, (title, faults) in enumerate([("no banned function", banned), ("no store of seq_cst but an exchange", stores)], 1):
        print(f"{'not ok' if faults else 'ok'} {number} - {title} in {len(files)} files of src/")
        for fault in faults:
            print(f"# {fault}")
    return 1 if banned or stores else 0


if __name__ == "__main__":
    sys.exit(main())
