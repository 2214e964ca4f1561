#!/usr/bin/python3
"""What scripts/run-tests makes of a program's output and end. runner.py SOURCE_ROOT"""

import importlib.machinery
import importlib.util
import sys

sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("run_tests", sys.argv[1] + "/scripts/run-tests")
run_tests = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
loader.exec_module(run_tests)

# title, output, exit status, and the passed, failed and skipped cases that it comes to
PROGRAMS = [
    ("all pass", "1..2\nok 1 - a\nok 2 - b\n", 0, (2, 0, 0)),
    ("the plan may come last", "ok 1 - a\n1..1\n", 0, (1, 0, 0)),
    ("one fails", "1..2\nok 1 - a\nnot ok 2 - b\n# why\n", 1, (1, 1, 0)),
    ("several groups", "1..1\nok 1 - a\n# ok - one\n1..2\nok 1 - b\nnot ok 2 - c\n", 1, (2, 1, 0)),
    ("a skipped case", "1..2\nok 1 - a # SKIP no gdb\nok 2 - b\n", 0, (1, 0, 1)),
    ("a skipped case, as cmocka prints it", "1..1\nnot ok 1 # SKIP a\n", 0, (0, 0, 1)),
    ("a skipped program", "1..0 # SKIP no compiler\n", 0, (0, 0, 1)),
    ("a name with a number sign", "1..1\nok 1 - issue #12 stays fixed\n", 0, (1, 0, 0)),
    ("a failure that says it passed", "1..1\nok 1 - a\n", 1, (1, 1, 0)),
    ("a plan that is not reached", "1..3\nok 1 - a\n", 0, (1, 2, 0)),
    ("more cases than planned", "1..1\nok 1 - a\nok 2 - b\n", 0, (2, 1, 0)),
    ("a crash", "1..2\nok 1 - a\n", -11, (1, 2, 0)),
    ("a crash after the last case", "1..1\nok 1 - a\n", -6, (1, 1, 0)),
    ("no output", "", 0, (0, 1, 0)),
    ("output that is not TAP", "all fine\n", 0, (0, 1, 0)),
    ("bail out", "1..1\nok 1 - a\nBail out! no memory\n", 0, (1, 1, 0)),
]

print(f"1..{len(PROGRAMS)}")
bad = 0
for number, (title, output, status, wanted) in enumerate(PROGRAMS, 1):
    result = run_tests.Result(title)
    result.parse_tap(output)
    result.judge_exit(status)
    got = tuple(len(cases) for cases in (result.passed, result.failed, result.skipped))
    bad += got != wanted
    print(f"{'ok' if got == wanted else 'not ok'} {number} - {title}")
    if got != wanted:
        print(f"# passed, failed, skipped: {got}, not {wanted}")
sys.exit(1 if bad else 0)
