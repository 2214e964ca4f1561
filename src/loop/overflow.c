/* Reports of stack overflow. See overflow.h. */
#include "loop/overflow.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <trenza/tasks.h>

#include "os/sanitizer.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum { FIRST = 16, LAST = 8, FRAMES = FIRST + LAST, ROOM = 8000, NAME = 96 };

size_t (*_Atomic tz_overflow_describe)(void *owner, char *ret_text, size_t size);

/* --- text, without stdio --- */

struct text {
	size_t length;
	char bytes[ROOM];
};

static void put(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if (n > sizeof t->bytes - t->length)
		n = sizeof t->bytes - t->length;
	memcpy(t->bytes + t->length, s, n);
	t->length += n;
}

static void put_number(struct text *t, uintptr_t value, unsigned base)
{
	char digits[24], *at = digits + sizeof digits;

	*--at = '\0';
	do
		*--at = "0123456789abcdef"[value % base];
	while ((value /= base) > 0);
	put(t, base == 16 ? "0x" : "");
	put(t, at);
}

static void write_out(const struct text *t)
{
	size_t done = 0;

	while (done < t->length) {
		ssize_t n = write(STDERR_FILENO, t->bytes + done, t->length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

/* --- where the code was --- */

struct place {
	uintptr_t pc;
	uintptr_t base; /* where the file is mapped */
	char file[NAME];
};

struct backtrace {
	size_t count; /* of all frames */
	struct place places[FRAMES]; /* the first ones, and behind them the last ones in turn */
};

static void add_frame(struct backtrace *b, uintptr_t pc)
{
	size_t at = b->count < FIRST ? b->count : FIRST + (b->count - FIRST) % LAST;

	b->places[at].pc = pc;
	b->count++;
}

static size_t known_frames(const struct backtrace *b)
{
	return b->count < FRAMES ? b->count : FRAMES;
}

/* Frames lie one above the other; a chain that leaves the stack or turns back is no chain. */
static TZ_NO_SANITIZE void follow_frames(struct backtrace *b, const struct tz_stack *stack,
					 uintptr_t fp)
{
	uintptr_t low = (uintptr_t)stack->low, end = low + stack->size;

	while (fp >= low && fp <= end - 2 * sizeof fp && fp % sizeof fp == 0) {
		const uintptr_t *frame = (const uintptr_t *)fp;

		if (!frame[1])
			return;
		add_frame(b, frame[1]);
		if (frame[0] <= fp)
			return;
		fp = frame[0];
	}
}

/* A line of /proc/self/maps: START-END PERMISSIONS OFFSET DEVICE INODE PATH. */
static void look_at_mapping(struct backtrace *b, char *line, uintptr_t *base)
{
	char *at, *path = strchr(line, '/');
	uintptr_t start = strtoul(line, &at, 16), end = *at == '-' ? strtoul(at + 1, &at, 16) : 0;

	if (!path || *at != ' ')
		return;
	at = strchr(at + 1, ' ');
	if (!at)
		return;
	if (strtoul(at, NULL, 16) == 0)
		*base = start;
	for (size_t i = 0; i < known_frames(b); i++) {
		struct place *p = &b->places[i];
		const char *name = strrchr(path, '/') + 1;

		if (p->pc < start || p->pc >= end)
			continue;
		p->base = *base;
		for (size_t n = 0; n < NAME - 1 && name[n]; n++)
			p->file[n] = name[n];
	}
}

static void name_files(struct backtrace *b)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char line[512], bytes[1024];
	uintptr_t base = 0;
	size_t n = 0;
	ssize_t got;

	if (fd < 0)
		return;
	while ((got = read(fd, bytes, sizeof bytes)) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			if (bytes[i] != '\n') {
				if (n < sizeof line - 1)
					line[n++] = bytes[i];
				continue;
			}
			line[n] = '\0';
			n = 0;
			look_at_mapping(b, line, &base);
		}
	}
	(void)close(fd);
}

static void put_place(struct text *t, const struct place *p, size_t number)
{
	put(t, "  #");
	put_number(t, number, 10);
	put(t, "  ");
	put_number(t, p->pc, 16);
	if (p->file[0]) {
		put(t, "  ");
		put(t, p->file);
		put(t, "+");
		put_number(t, p->pc - p->base, 16);
	}
	put(t, "\n");
}

static void put_backtrace(struct text *t, const struct backtrace *b)
{
	size_t last = b->count > FRAMES ? b->count - LAST : FIRST;

	for (size_t i = 0; i < b->count && i < FIRST; i++)
		put_place(t, &b->places[i], i);
	if (last > FIRST) {
		put(t, "  ... ");
		put_number(t, last - FIRST, 10);
		put(t, " more\n");
	}
	for (size_t i = last; i < b->count; i++)
		put_place(t, &b->places[FIRST + (i - FIRST) % LAST], i);
	if (b->count < 2)
		put(t,
		    "  (built with -fno-omit-frame-pointer, the program would show its callers)\n");
}

/* --- the report --- */

static void put_owner(struct text *t, void *owner)
{
	size_t (*describe)(void *, char *, size_t) =
		atomic_load_explicit(&tz_overflow_describe, memory_order_acquire);
	size_t n = 0, room = sizeof t->bytes - t->length;

	if (owner && describe)
		n = describe(owner, t->bytes + t->length, room);
	if (n == 0 || n > room)
		put(t, "a coroutine");
	else
		t->length += n;
}

static void put_size(struct text *t, size_t size)
{
	bool small = size % (1024 * 1024);

	put_number(t, size / (small ? 1024 : 1024 * 1024), 10);
	put(t, small ? " KiB" : " MiB");
}

static void report(const struct tz_stack *stack, void *owner, struct backtrace *b)
{
	struct text t;

	t.length = 0;
	put(&t, "trenza: stack overflow in ");
	put_owner(&t, owner);
	put(&t, ", stack ");
	put_size(&t, tz_stack_full_size(stack));
	put(&t, ": give it a larger one, or keep less on it\n");
	if (b) {
		name_files(b);
		put_backtrace(&t, b);
	}
	write_out(&t);
}

/* --- the handler --- */

static const int signals[2] = { SIGSEGV, SIGBUS };
static struct sigaction before[2];

struct registers {
	uintptr_t pc, fp, sp;
};

static struct registers registers_of(const void *context)
{
	const ucontext_t *uc = context;

#if defined(__x86_64__)
	return (struct registers){ (uintptr_t)uc->uc_mcontext.gregs[REG_RIP],
				   (uintptr_t)uc->uc_mcontext.gregs[REG_RBP],
				   (uintptr_t)uc->uc_mcontext.gregs[REG_RSP] };
#elif defined(__aarch64__)
	return (struct registers){ uc->uc_mcontext.pc, uc->uc_mcontext.regs[29],
				   uc->uc_mcontext.sp };
#else
	(void)uc;
	return (struct registers){ 0, 0, 0 };
#endif
}

/* Whether the fault is in the guard of the stack that the code ran on. A large frame may have moved the stack pointer below
 * the guard. */
static bool is_overflow(const siginfo_t *info, uintptr_t sp, struct tz_stack *ret_stack,
			void **ret_owner)
{
	uintptr_t low, full;

	if (info->si_code <= 0 || !tz_stack_find(info->si_addr, ret_stack, ret_owner))
		return false;
	low = (uintptr_t)ret_stack->low;
	full = tz_stack_full_size(ret_stack);
	return (uintptr_t)info->si_addr < low && (!sp || sp - (low - full) < 2 * full);
}

static void report_if_overflow(const siginfo_t *info, const void *context)
{
	struct registers r = registers_of(context);
	struct tz_stack stack;
	void *owner;

	if (is_overflow(info, r.sp, &stack, &owner)) {
		struct backtrace b;

		memset(&b, 0, sizeof b);
		if (r.pc) {
			add_frame(&b, r.pc);
			follow_frames(&b, &stack, r.fp);
		}
		report(&stack, owner, &b);
	}
}

/* Without another handler: the default's turn, at the same instruction, or by sending it again if it did not come of one. */
static void end_by(int sig, const siginfo_t *info)
{
	struct sigaction usual;

	memset(&usual, 0, sizeof usual);
	usual.sa_handler = SIG_DFL;
	(void)sigaction(sig, &usual, NULL);
	if (info->si_code <= 0)
		(void)raise(sig); /* comes when the handler returns */
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct sigaction *old = &before[sig == SIGBUS];
	int saved = errno;
	sigset_t mask;

	report_if_overflow(info, context);
	if (old->sa_flags & SA_SIGINFO ||
	    (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)) {
		(void)pthread_sigmask(SIG_BLOCK, &old->sa_mask, &mask);
		errno = saved;
		if (old->sa_flags & SA_SIGINFO)
			old->sa_sigaction(sig, info, context);
		else
			old->sa_handler(sig);
		saved = errno;
		(void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
	} else if (old->sa_handler == SIG_DFL || info->si_code > 0) {
		end_by(sig, info);
	}
	errno = saved;
}

enum { UNSAID, SAID_YES, SAID_NO, DECIDED };

static _Atomic int choice;
static bool wanted;

int tz_report_overflows(bool yes)
{
	int now = atomic_load_explicit(&choice, memory_order_relaxed);

	do
		if (now == DECIDED)
			return -EBUSY;
	while (!atomic_compare_exchange_weak_explicit(&choice, &now, yes ? SAID_YES : SAID_NO, memory_order_relaxed,
						      memory_order_relaxed));
	return 0;
}

static void install(void)
{
	const char *text = secure_getenv("TRENZA_OVERFLOW");
	int said = atomic_exchange_explicit(&choice, DECIDED, memory_order_relaxed);
	struct sigaction action;

	wanted = said != SAID_NO && (!text || strcmp(text, "off") != 0);
	if (!wanted)
		return;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = on_signal;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	for (size_t i = 0; i < 2; i++)
		if (sigaction(signals[i], NULL, &before[i]) == 0)
			(void)sigaction(signals[i], &action, NULL);
}

/* --- alternate stacks --- */

static size_t least_size(void)
{
	size_t frame = getauxval(AT_MINSIGSTKSZ), size = 64 * 1024;

	return 4 * frame > size ? 4 * frame : size;
}

int tz_overflow_begin(struct tz_overflow *overflow)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	size_t page = (size_t)sysconf(_SC_PAGESIZE),
	       size = (least_size() + 2 * page - 1) / page * page;
	stack_t now, alternate = { 0 };
	char *memory;

	(void)pthread_once(&once, install);
	if (!wanted || sigaltstack(NULL, &now) < 0 || !(now.ss_flags & SS_DISABLE))
		return 0; /* somebody else's will do */
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
		      -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	if (mprotect(memory, page, PROT_NONE) < 0) {
		(void)munmap(memory, size);
		return -ENOMEM;
	}
	alternate.ss_sp = memory + page;
	alternate.ss_size = size - page;
	if (sigaltstack(&alternate, NULL) < 0) {
		(void)munmap(memory, size);
		return 0;
	}
	overflow->memory = memory;
	overflow->size = size;
	return 0;
}

void tz_overflow_end(struct tz_overflow *overflow)
{
	stack_t now, none = { .ss_flags = SS_DISABLE };
	char *memory = overflow->memory;

	if (!memory)
		return;
	if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE) &&
	    (char *)now.ss_sp > memory && (char *)now.ss_sp < memory + overflow->size)
		(void)sigaltstack(&none, NULL);
	(void)munmap(memory, overflow->size);
	*overflow = (struct tz_overflow){ 0 };
}

void tz_overflow_found(const struct tz_stack *stack)
{
	report(stack, tz_stack_owner_of(stack->low), NULL);
	(void)raise(SIGSEGV);
	abort(); /* allowed: somebody's memory was overwritten, and the signal did not end the process */
}
