"""Commands of gdb for programs with coroutines of trenza, living or dumped.

    tz-tasks         lists the tasks of all loops: number, state, name, where spawned, what they wait in, stack
    tz-tasks -a      and the coroutines that have no task
    tz-bt N          the backtrace of a task, by its number or by its name; `tz-bt all`: of each

gdb loads this by itself with the library if it is installed under gdb's own prefix (/usr); else: source trenza-gdb.py.
It needs the library's debugging information. In a core dump, backtraces of tasks that do not run follow frame pointers.
"""

import struct

import gdb

UNIT = 1 << 25
LINE = 64
PARKED = 2
MOST_FRAMES = 200
X86_64 = {"sp": "rsp", "fp": "rbp", "pc": "rip"}
AARCH64 = {"sp": "sp", "fp": "x29", "pc": "pc"}
SAVED_ON_AARCH64 = ["x%d" % n for n in range(19, 29)]
SIZE_SAVED_ON_AARCH64 = 144


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def read_words(address, count):
    return struct.unpack("<%dQ" % count, read(address, 8 * count))


def pointer(address, type_name):
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer())


def registers():
    return AARCH64 if "aarch64" in gdb.selected_frame().architecture().name() else X86_64


def library_folder():
    """Where the library's sources were compiled: .../src/."""
    symbol = gdb.lookup_global_symbol("tz_loop_suspend") or gdb.lookup_static_symbol("tz_loop_suspend")
    if symbol is None:
        raise gdb.GdbError("There is no loop of trenza in the program, or no debugging information of the library.")
    return symbol.symtab.fullname().rsplit("/", 2)[0] + "/"


def owners():
    """The owners of all stacks that have one, by the stacks' addresses."""
    leaves = gdb.parse_and_eval("tz_stack_leaves")
    count = leaves.type.range()[1] + 1
    seen = set()
    for leaf in read_words(int(leaves.address), count):
        for slab in set(read_words(leaf, 2048)) - seen if leaf else ():
            seen.add(slab)
            if slab:
                yield from owners_in(pointer(slab, "struct tz_slab").dereference())


def owners_in(slab):
    base, stride = int(slab["base"]), int(slab["stride"])
    for at in range(base, base + int(slab["opened"]) * stride, stride):
        top = at + stride - LINE - at // 4096 % 16 * LINE
        try:
            owner = read_words(top, 1)[0]
        except gdb.MemoryError: # a dump without it
            continue
        if owner:
            yield owner, top


class Task:
    """A coroutine and the job that it runs, or a job that has not begun."""

    def __init__(self, loop, job, coroutine=None, top=0):
        self.loop, self.job, self.coroutine, self.top = loop, job, coroutine, top
        self.number = 0

    def state(self):
        if self.coroutine is None:
            return "not begun"
        if int(self.loop["current"]) == int(self.coroutine.address):
            return "running"
        if not self.job:
            return "idle"
        return "waiting" if int(self.coroutine["strand"]["token"]) == PARKED else "runnable"

    def name(self):
        if not self.job:
            return "-"
        options = self.job["options"]
        if options and int(options["name"][0]):
            return options["name"].string(errors="replace")
        return self.job["task"]["name"].string(errors="replace")

    def spawned_at(self):
        site = self.job["site"] if self.job else None
        if not site:
            return "-"
        return "%s:%d" % (site["file"].string(errors="replace"), int(site["line"]))

    def saved(self):
        """Stack pointer, frame pointer and address of one that does not run, and its other registers."""
        context = self.coroutine["context"]
        sp, fp, pc = (int(context[field]) for field in ("sp", "fp", "pc"))
        if not pc:
            return saved_by_ucontext(sp)
        if registers() is AARCH64:
            others = dict(zip(SAVED_ON_AARCH64, read_words(sp, len(SAVED_ON_AARCH64))))
            return sp + SIZE_SAVED_ON_AARCH64, fp, pc, others
        return sp, fp, pc, {}

    def stack(self):
        if self.coroutine is None:
            return "-"
        size = 1 << (int(self.coroutine["stack"]["size"]) - 1).bit_length()
        if self.state() in ("running", "idle"):
            return "%d KiB" % (size // 1024)
        return "%.1f of %d KiB" % ((self.top - self.saved()[0]) / 1024, size // 1024)

    def frames(self):
        """Addresses of code by frame pointers."""
        sp, fp, pc, _ = self.saved()
        for _ in range(MOST_FRAMES):
            yield pc
            if not sp <= fp <= self.top - 16 or fp % 8:
                return
            above, pc = read_words(fp, 2)
            if not pc:
                return
            sp, fp = fp + 16, above

    def waits_in(self):
        """The call of the library, and what calls it."""
        if self.state() not in ("waiting", "runnable"):
            return "-"
        inside = "-"
        for pc in self.frames():
            functions = functions_at(pc)
            for depth, (name, file) in enumerate(functions):
                if name in ("run_task", "run_tries"): # the task's function ended with the call
                    return inside
                if not is_ours(pc, name, file):
                    place = gdb.find_pc_line(pc - 1)
                    line = " (%s:%d)" % (place.symtab.filename, place.line) if place.symtab and depth == 0 else ""
                    return "%s, from %s%s" % (inside, name, line)
                inside = name
        return inside


def saved_by_ucontext(address):
    general = pointer(address, "ucontext_t")["uc_mcontext"]
    if registers() is AARCH64:
        others = {"x%d" % n: int(general["regs"][n]) for n in range(19, 29)}
        return int(general["sp"]), int(general["regs"][29]), int(general["pc"]), others
    general = general["gregs"]
    others = {"rbx": int(general[11]), "r12": int(general[4]), "r13": int(general[5]), "r14": int(general[6]),
              "r15": int(general[7])}
    return int(general[15]), int(general[10]), int(general[16]), others


def functions_at(pc):
    """Names and files of the functions at an address: first what was inlined there, last what it is in."""
    block = gdb.block_for_pc(pc - 1)
    found = []
    while block is not None and not block.is_global and not block.is_static:
        if block.function is not None:
            found.append((block.function.name, block.function.symtab.fullname()))
        block = block.superblock
    if found:
        return found
    text = gdb.execute("info symbol %d" % (pc - 1), to_string=True)
    return [("0x%x" % pc if text.startswith("No symbol") else text.split(" ")[0], "")]


def is_ours(pc, name, file):
    if name.startswith("tz_"):
        return True
    return file.startswith(library_folder()) if file else "libtrenza" in (gdb.solib_name(pc) or "")


def not_begun(loop):
    entry = int(loop["ready"]["first"])
    while entry:
        if entry & 1:
            entry = int(pointer(entry ^ 1, "struct tz_coroutine")["next_ready"])
        else:
            job = pointer(entry, "struct tz_job")
            yield job
            entry = int(job["next_ready"])


def loops_of_threads():
    """Loops that run and have no coroutine yet are known to their threads only."""
    before = gdb.selected_thread()
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            try:
                loop = gdb.parse_and_eval("tz_loop_self")
            except gdb.error:
                continue # no access to thread-local variables
            if loop:
                yield loop
    finally:
        before.switch()


def all_tasks(with_idle=True):
    tasks, loops = [], {int(loop): loop.dereference() for loop in loops_of_threads()}
    for owner, top in sorted(owners(), key=lambda found: found[1]):
        coroutine = pointer(owner, "struct tz_coroutine").dereference()
        loop = coroutine["loop"]
        loops.setdefault(int(loop), loop.dereference())
        tasks.append(Task(loop.dereference(), coroutine["job"], coroutine, top))
    for loop in loops.values():
        tasks += [Task(loop, job) for job in not_begun(loop)]
    for number, task in enumerate(tasks, 1):
        task.number = number
    return [task for task in tasks if with_idle or task.job]


class ListTasks(gdb.Command):
    """tz-tasks [-a]: lists the tasks of trenza's loops; with -a also coroutines that have no task."""

    def __init__(self):
        super().__init__("tz-tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        library_folder()
        rows = [("", "state", "task", "spawned at", "stack", "waits in")]
        for t in all_tasks("-a" in argument):
            rows.append((str(t.number), t.state(), t.name(), t.spawned_at(), t.stack(), t.waits_in()))
        if len(rows) == 1:
            print("No tasks.")
            return
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for row in rows:
            print("  ".join([row[0].rjust(widths[0])] + [cell.ljust(width) for cell, width in zip(row[1:5], widths[1:])]
                            + [row[5]]).rstrip())


class Backtrace(gdb.Command):
    """tz-bt NUMBER | NAME | all: the backtrace of a task as tz-tasks lists them."""

    def __init__(self):
        super().__init__("tz-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        library_folder()
        wanted = argument.strip()
        if not wanted:
            raise gdb.GdbError("Which task? A number or a name of tz-tasks, or all.")
        found = [task for task in all_tasks() if wanted in (str(task.number), "all") or
                 (task.job and task.name() == wanted)]
        if not found:
            raise gdb.GdbError("There is no task %s." % wanted)
        for task in found:
            print("Task %d, %s, %s" % (task.number, task.name(), task.state()))
            show_backtrace(task)


def show_backtrace(task):
    state = task.state()
    if state == "not begun":
        return
    if state == "running":
        show_running(task)
        return
    try:
        text = backtrace_with_registers(task)
    except gdb.error: # a core dump, whose registers cannot be set
        show_frames(task)
        return
    print(text, end="")


def show_running(task):
    before = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        if int(gdb.parse_and_eval("tz_loop_self")) == int(task.loop.address):
            gdb.execute("backtrace")
    before.switch()


def show_frames(task):
    for number, pc in enumerate(task.frames()):
        place = gdb.find_pc_line(pc - 1)
        where = " at %s:%d" % (place.symtab.filename, place.line) if place.symtab else ""
        print("#%-2d 0x%016x in %s ()%s" % (number, pc, functions_at(pc)[0][0], where))


def backtrace_with_registers(task):
    """Lends the selected thread the task's registers for as long as a backtrace takes."""
    sp, fp, pc, others = task.saved()
    names = registers()
    lent = dict(others)
    lent.update({names["sp"]: sp, names["fp"]: fp, names["pc"]: pc})
    frame = gdb.selected_frame()
    gdb.newest_frame().select()
    kept = {name: int(gdb.parse_and_eval("(unsigned long)$" + name)) for name in lent}
    # What a system call that is to be repeated is told by; setting the program counter forgets it.
    call = None if names is AARCH64 else int(gdb.parse_and_eval("(long)$orig_rax"))
    try:
        for name, value in lent.items():
            gdb.execute("set $%s = %d" % (name, value), to_string=True)
        return gdb.execute("backtrace", to_string=True)
    finally:
        for name, value in kept.items():
            gdb.execute("set $%s = %d" % (name, value), to_string=True)
        if call is not None:
            gdb.execute("set $orig_rax = %d" % call, to_string=True)
        if frame.is_valid():
            frame.select()


ListTasks()
Backtrace()
