#!/usr/bin/python3
"""Wrong uses of the typed macros do not compile, and the messages are on the user's line. misuse.py SOURCE_ROOT"""

import pathlib
import re
import subprocess
import sys

LANGUAGES = [("C", "gcc", "c"), ("C", "clang", "c"), ("C++", "g++", "c++"), ("C++", "clang++", "c++")]
STANDARD = {"c": "-std=c11", "c++": "-std=c++17"}
MESSAGE = re.compile(r"^(.*?):(\d+)(?::\d+)?: (?:fatal )?error: (.*)$", re.M)


def read_cases(text):
    prelude = text[text.index("#include"):text.index("\n# ")]
    for part in text[text.index("\n# "):].split("\n# ")[1:]:
        title, _, rest = part.partition("\n")
        wanted = {}
        while match := re.match(r"(error|C|C\+\+): (.*)\n", rest):
            wanted.update(dict.fromkeys(["C", "C++"] if match[1] == "error" else [match[1]], match[2]))
            rest = rest[match.end():]
        at_file_scope = rest.startswith("file:\n")
        code = rest[6:] if at_file_scope else f"void use(tz_executor *ex);\nvoid use(tz_executor *ex)\n{{\n{rest}}}\n"
        yield title, wanted, prelude, code


def compile_it(root, compiler, language, source):
    command = [compiler, f"-x{language}", STANDARD[language], "-fsyntax-only", "-fno-diagnostics-color",
               "-I", str(root / "include"), "-"]
    done = subprocess.run(command, input=source, text=True, stderr=subprocess.PIPE)
    return done.stderr


def fault(output, source, pattern):
    """Why the compiler's answer is not good enough, or None."""
    here = next(n for n, line in enumerate(source.splitlines(), 1) if "HERE" in line)
    messages = MESSAGE.findall(output)
    if not messages:
        return "it compiles"
    for file, line, _ in messages:
        if file != "<stdin>" or int(line) != here:
            return f"the message is about {file}:{line}, not about line {here}"
    if not any(re.search(pattern, text) for _, _, text in messages):
        return f"no message matches /{pattern}/"
    return None


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    number = bad = 0

    def report(title, problem, output):
        nonlocal number, bad
        number += 1
        bad += problem is not None
        print(f"{'ok' if problem is None else 'not ok'} {number} - {title}")
        if problem is not None:
            print(f"# {problem}")
            print("\n".join("#   " + line for line in output.splitlines()[:12]))

    cases = list(read_cases(pathlib.Path(__file__).with_suffix(".txt").read_text()))
    for name, compiler, language in LANGUAGES:
        output = compile_it(root, compiler, language, cases[0][2])
        report(f"what they begin with compiles ({compiler})", "it does not" if "error" in output else None, output)
        for title, wanted, prelude, code in cases:
            source = prelude + code
            output = compile_it(root, compiler, language, source.replace("HERE", "/* HERE */"))
            report(f"{title} ({compiler})", fault(output, source, wanted[name]), output)
    print(f"1..{number}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
