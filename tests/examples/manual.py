#!/usr/bin/python3
"""Tests of the manual pages, and of the program in README.md. manual.py SOURCE_ROOT BUILD_DIRECTORY_OF_MAN LIBRARY COMPILER [FLAG]..."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1])
BUILT = pathlib.Path(sys.argv[2])
LIBRARY = pathlib.Path(sys.argv[3]).resolve()
sys.path.insert(0, str(ROOT / "tests" / "tools"))
sys.dont_write_bytecode = True

from tap import Skip, case, finish  # noqa: E402

DEADLINE = 60
COMPILER = sys.argv[4].split()
FLAGS = sys.argv[5:]  # of the build, for what is compiled here
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUE", "ERRORS", "OWNERSHIP", "THREADS", "EXAMPLE", "SEE ALSO"]
# What the headers are written with, and no program is.
NOT_FOR_USERS = {"TZ_API", "TZ_BEGIN_DECLS", "TZ_END_DECLS", "TZ_NODISCARD", "TZ_PRINTF"}
PAGES = BUILT / "man3"


def run(*command, **more):
    how = {} if "input" in more else {"stdin": subprocess.DEVNULL}
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, **how, **more)


def equal(have, want):
    assert have == want, f"{have!r} is not {want!r}"


@case
def comments():
    """each public name has a comment with all its lines, and an example"""
    done = run(sys.executable, ROOT / "man" / "generate", "faults")
    equal((done.stdout, done.returncode), ("", 0))


@case
def functions():
    """each function that the library exports has a page"""
    names = re.findall(r"^\t(tz_[a-z]\w+);$", (ROOT / "src" / "trenza.map").read_text(), re.M)
    assert len(names) > 100
    equal([n for n in names if not (PAGES / f"{n}.3").is_file()], [])


@case
def macros():
    """each public macro has a page"""
    headers = "".join(f"#include <trenza/{h.name}>\n" for h in (ROOT / "include" / "trenza").glob("*.h"))
    done = subprocess.run([*COMPILER, "-std=c11", "-I", ROOT / "include", "-xc", "-dM", "-E", "-"], input=headers,
                          capture_output=True, text=True, timeout=DEADLINE, check=True)
    names = set(re.findall(r"^#define ((?:tz|TZ)_(?!_)\w+)", done.stdout, re.M)) - NOT_FOR_USERS
    assert len(names) > 50
    equal([n for n in sorted(names) if not (PAGES / f"{n}.3").is_file()], [])


@case
def sections():
    """each page has all its sections, and something in each"""
    for page in PAGES.glob("*.3"):
        text = page.read_text()
        if text.startswith(".so "):
            continue
        parts = re.split(r"^\.SH (.*)\n", text, flags=re.M)[1:]
        equal((page.name, parts[::2]), (page.name, SECTIONS))
        assert all(len(part.strip()) > 2 for part in parts[1::2]), page
        assert "Not told." not in text, page


@case
def links():
    """each page that names another leads to it"""
    for page in list(PAGES.glob("*.3")) + [BUILT / "trenza.7"]:
        text = page.read_text()
        for target in re.findall(r"^\.so (.*)$", text, re.M):
            assert not (BUILT / target).read_text().startswith(".so "), page
        for name in re.findall(r"\\fB(\w+)\\fP\(3\)", text):
            assert (PAGES / f"{name}.3").is_file(), (page, name)


@case
def groff():
    """groff has nothing to complain of"""
    if not shutil.which("groff"):
        raise Skip("no groff here")
    pages = sorted(PAGES.glob("*.3")) + sorted(BUILT.glob("trenza.[0-9]"))
    for page in pages:
        done = run("groff", "-man", "-ww", "-z", "-Tutf8", page, cwd=BUILT)
        equal((page.name, done.stderr, done.returncode), (page.name, "", 0))


@case
def command():
    """trenza(1) tells of each option of the command"""
    page = BUILT / "trenza.1"
    if not page.exists():
        raise Skip("built without the command")
    text = page.read_text().replace("\\-", "-")
    for option in ["--on EXECUTOR", "--compare", "--json", "--timeout SECONDS", "--max-redirects N", "--serve", "--delay"]:
        assert re.search(rf"^\\fB.*{option}.*\\fP$", text, re.M), option


def compiled_from_readme(work, number):
    """The program in README.md of that number, compiled into the directory."""
    program = re.findall(r"^```c\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)[number]
    (pathlib.Path(work) / "program.c").write_text(program)
    done = run(*COMPILER, "-std=c11", "-Wall", "-Wextra", "-I", ROOT / "include", "program.c", LIBRARY, "-o", "program", *FLAGS,
               f"-Wl,-rpath,{LIBRARY.parent}", cwd=work)
    equal((done.stderr, done.returncode), ("", 0))
    return pathlib.Path(work) / "program"


@case
def readme():
    """the program in README.md compiles and prints what it should, whatever the word"""
    with tempfile.TemporaryDirectory() as work:
        program = compiled_from_readme(work, 0)
        for word in [], ["inline"], ["chaos:seed=7"], ["coroutines"], ["coroutines:2"], ["sim:seed=7"], ["processes"], ["processes:2,start=spawn"]:
            done = run(program, *word)
            equal((done.stdout, done.returncode), ("12, and 4 10 18\n", 0))
        equal(run(program, "nothing").returncode, 1)


@case
def readme_coroutines():
    """so does the program with coroutines"""
    with tempfile.TemporaryDirectory() as work:
        done = run(compiled_from_readme(work, 1))
        equal((done.stdout, done.returncode), ("Hello\n" * 3 + "World\n" * 3, 0))


@case
def headers_in_readme():
    """the table in README.md has each public header"""
    text = (ROOT / "README.md").read_text()
    for header in (ROOT / "include" / "trenza").glob("*.h"):
        if header.name not in {"base.h", "task_arity.h", "with.h"}:
            assert f"(include/trenza/{header.name})" in text, header
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / link).exists(), link


@case
def python_page():
    """each line of C in docs/python.md compiles"""
    text = (ROOT / "docs" / "python.md").read_text()
    prelude = re.search(r"^```c\n(.*?)^```", text, re.S | re.M)[1]
    lines = re.findall(r"^\|.*\| `([^`]*;)` \|$", text, re.M)
    assert len(lines) == sum(row.startswith("|") for row in text.splitlines()) - 2 * text.count("| Python | C |"), lines
    body = "".join(f"\t{{ {line} }}\n" for line in lines)
    source = f"{prelude}\nvoid lines(void);\nvoid lines(void)\n{{\n{body}}}\n"
    done = run(*COMPILER, "-std=c11", "-Wall", "-Wextra", "-Wno-unused-function", "-I", ROOT / "include", "-xc", "-fsyntax-only", "-",
               input=source)
    equal((done.stderr, done.returncode), ("", 0))


def add_program(source):
    def program():
        text = source.read_text()
        if not (BUILT / f"man-{source.stem}").exists():
            raise Skip("the module is not built")
        prints = re.search(r"^/\* prints:\n(.*?)^\*/", text, re.S | re.M)
        done = run(BUILT / f"man-{source.stem}")
        equal((done.returncode, done.stdout), (0, prints[1] if prints else ""))

    program.__doc__ = f"{source.relative_to(ROOT)} prints what it says that it prints"
    case(program)


for source in sorted((ROOT / "man" / "examples").glob("*.c")) + sorted((ROOT / "modules").glob("*/man/*.c")):
    add_program(source)


if __name__ == "__main__":
    finish()
