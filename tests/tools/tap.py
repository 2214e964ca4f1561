"""TAP for the tests in Python: @case each function, then finish()."""

import sys
import traceback

cases = []


def case(function):
    cases.append(function)
    return function


class Skip(Exception):
    pass


def finish(only=None):
    chosen = [c for c in cases if only is None or only in c.__name__]
    print(f"1..{len(chosen)}")
    failed = 0
    for number, function in enumerate(chosen, 1):
        title = (function.__doc__ or function.__name__).strip().splitlines()[0]
        try:
            function()
            print(f"ok {number} - {title}", flush=True)
        except Skip as why:
            print(f"ok {number} - {title} # SKIP {why}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {title}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    sys.exit(failed > 0)
