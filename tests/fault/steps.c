/* Processes step by step, by ptrace. See steps.h. The marks where `run` begins and ends are stops that the process asks for itself.
 *
 * To step through a thousand instructions takes some ten milliseconds, and to do that for each of them again as many seconds. So the way is recorded once, and then
 * a process goes at full speed to a breakpoint near to where it is to stop: at the last instruction before that to which it comes for the first time there.
 */
#define _GNU_SOURCE

#include "steps.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "proc.h"

enum { TICK_US = 1000, FINISH_S = 60 };

/* waitpid, whatever ticks. */
static void reap(pid_t pid, int *ret_status)
{
	pid_t r;

	do
		r = waitpid(pid, ret_status, 0);
	while (r < 0 && errno == EINTR);
	assert_int_equal(r, pid);
}

bool steps_are_possible(void)
{
	pid_t pid = fork();
	bool possible = false;
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		long r = ptrace(PTRACE_TRACEME, 0, NULL, NULL);

		(void)raise(r == 0 ? SIGSTOP : SIGKILL);
		_exit(0);
	}
	reap(pid, &status);
	if (WIFSTOPPED(status) && ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0) {
		reap(pid, &status);
		possible = WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
	}
	if (WIFSTOPPED(status)) {
		assert_int_equal(kill(pid, SIGKILL), 0);
		reap(pid, &status);
	}
	return possible;
}

static void ignore(int signal)
{
	(void)signal;
}

/* Ticks end waits; and tracer and traced share a processor, so that one goes on as soon as the other waits. */
static void be_ready(void)
{
	static bool ready;
	struct sigaction on_tick = { .sa_handler = ignore };
	struct itimerval each = { .it_interval.tv_usec = TICK_US, .it_value.tv_usec = TICK_US };
	cpu_set_t here;
	int cpu = sched_getcpu();

	if (ready)
		return;
	ready = true;
	if (cpu >= 0) {
		CPU_ZERO(&here);
		CPU_SET((unsigned)cpu, &here);
		(void)sched_setaffinity(0, sizeof here, &here);
	}
	assert_int_equal(sigaction(SIGALRM, &on_tick, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &each, NULL), 0);
}

void steps_begin(struct steps *s)
{
	pid_t parent = getpid();
	int status;

	be_ready();

	(void)fflush(NULL);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(99);
		s->prepare();
		(void)raise(SIGSTOP);
		s->run();
		(void)raise(SIGSTOP);
		_exit(0);
	}
	reap(s->pid, &status);
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
		fail_msg("it did not begin: status %#x", status);
}

/* Waits until the step is done; false if it sleeps meanwhile: it was seen asleep at two ticks in a row. */
static bool await(struct steps *s, int *ret_status)
{
	for (int asleep = 0; asleep < 2;) {
		if (waitpid(s->pid, ret_status, 0) == s->pid)
			return true;
		assert_int_equal(errno, EINTR);
		asleep = state_of(s->pid) == 'S' ? asleep + 1 : 0;
	}
	return false;
}

enum step steps_next(struct steps *s)
{
	int status;

	/* Fails with ESRCH if it is still in the system call of the last step. */
	if (ptrace(PTRACE_SINGLESTEP, s->pid, NULL, NULL) < 0 && errno != ESRCH)
		fail_msg("no step: %s", strerror(errno));
	if (!await(s, &status))
		return STEP_ASLEEP;
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
		return STEP_DONE;
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
		fail_msg("it went wrong by itself: status %#x", status);
	steps_kill(s);
	return STEP_OVER;
}

/* --- the way of a process ----------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
enum { BREAKPOINT_MOVES = 1 }; /* the program counter is behind it */
static const unsigned char breakpoint[] = { 0xcc };
#define PC(registers) ((registers).rip)
#elif defined(__aarch64__)
enum { BREAKPOINT_MOVES = 0 };
static const unsigned char breakpoint[] = { 0x00, 0x00, 0x20, 0xd4 };
#define PC(registers) ((registers).pc)
#else
#define NO_BREAKPOINTS 1
#endif

#ifndef NO_BREAKPOINTS
static void get_registers(const struct steps *s, struct user_regs_struct *ret)
{
	struct iovec io = { .iov_base = ret, .iov_len = sizeof *ret };

	assert_int_equal(ptrace(PTRACE_GETREGSET, s->pid, (void *)NT_PRSTATUS, &io), 0);
}

static uint64_t get_pc(const struct steps *s)
{
	struct user_regs_struct registers;

	get_registers(s, &registers);
	return PC(registers);
}

static void set_pc(const struct steps *s, uint64_t pc)
{
	struct user_regs_struct registers;
	struct iovec io = { .iov_base = &registers, .iov_len = sizeof registers };

	get_registers(s, &registers);
	PC(registers) = pc;
	assert_int_equal(ptrace(PTRACE_SETREGSET, s->pid, (void *)NT_PRSTATUS, &io), 0);
}

/* Runs to a breakpoint; false if it does not come there. */
static bool run_to(struct steps *s, uint64_t where)
{
	long before, changed;
	int status;

	errno = 0;
	before = changed = ptrace(PTRACE_PEEKTEXT, s->pid, (void *)(uintptr_t)where, NULL);
	assert_int_equal(errno, 0);
	memcpy(&changed, breakpoint, sizeof breakpoint);
	assert_int_equal(ptrace(PTRACE_POKETEXT, s->pid, (void *)(uintptr_t)where, (void *)changed), 0);
	assert_int_equal(ptrace(PTRACE_CONT, s->pid, NULL, NULL), 0);
	if (!await(s, &status)) {
		steps_kill(s); /* it sleeps */
		return false;
	}
	if (!WIFSTOPPED(status))
		fail_msg("it went wrong by itself: status %#x", status);
	if (WSTOPSIG(status) != SIGTRAP) {
		steps_kill(s);
		return false;
	}
	assert_int_equal(get_pc(s), where + BREAKPOINT_MOVES);
	set_pc(s, where);
	assert_int_equal(ptrace(PTRACE_POKETEXT, s->pid, (void *)(uintptr_t)where, (void *)before), 0);
	return true;
}
#else
static uint64_t get_pc(const struct steps *s)
{
	(void)s;
	return 0;
}
#endif

void steps_record(struct steps *s)
{
	int room = 0;
	enum step last = STEP_DONE;

	s->n = -1;
	s->where = NULL;
	while (last == STEP_DONE) {
		s->n++;
		if (s->n == room) {
			room = room ? room * 2 : 4096;
			s->where = realloc(s->where, (size_t)room * sizeof *s->where);
			assert_non_null(s->where);
		}
		s->where[s->n] = get_pc(s);
		last = steps_next(s);
	}
	s->sleeps = last == STEP_ASLEEP;
	printf("# %d steps to where it %s\n", s->n, s->sleeps ? "sleeps" : "ends");
}

void steps_forget(struct steps *s)
{
	/* The system makes a process take another way now and then, on a busy machine often. A test that loses most of its steps tests nothing. */
	printf("# %d of them were lost\n", s->lost);
	assert_true(s->lost <= 3 + s->n / 2);
	free(s->where);
	s->where = NULL;
	s->lost = 0;
}

/* The last step up to k that leads to somewhere for the first time; 0: there is none. */
static int anchor(const struct steps *s, int k)
{
	for (; k > 0; k--) {
		int j = 0;

		while (j < k && s->where[j] != s->where[k])
			j++;
		if (j == k)
			return k;
	}
	return 0;
}

bool steps_go(struct steps *s, int k)
{
	int at = anchor(s, k);
	bool same = true;

#ifdef NO_BREAKPOINTS
	at = 0;
#else
	if (at > 0 && !run_to(s, s->where[at])) {
		s->lost++;
		return false;
	}
#endif
	for (; at < k && same; at++) {
		enum step last = steps_next(s);

		same = last == STEP_DONE && get_pc(s) == s->where[at + 1];
		if (!same && last != STEP_OVER)
			steps_kill(s);
	}
	s->lost += !same;
	return same;
}

void steps_kill(struct steps *s)
{
	int status;

	assert_int_equal(kill(s->pid, SIGKILL), 0);
	do
		reap(s->pid, &status);
	while (WIFSTOPPED(status));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void steps_finish(struct steps *s)
{
	struct timespec tick = { .tv_nsec = 20000 };
	time_t until = time(NULL) + FINISH_S;
	int status;

	(void)ptrace(PTRACE_CONT, s->pid, NULL, NULL); /* unless it is asleep */
	for (;;) {
		pid_t r = waitpid(s->pid, &status, WNOHANG);

		assert_true(r == 0 || r == s->pid);
		if (r == s->pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP) {
			steps_kill(s);
			return;
		}
		if (r == s->pid && (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP))
			fail_msg("it went wrong by itself: status %#x", status);
		if (r == s->pid)
			(void)ptrace(PTRACE_CONT, s->pid, NULL, NULL); /* the end of a step in which it slept */
		else
			(void)nanosleep(&tick, NULL);
		if (time(NULL) >= until) {
			steps_kill(s);
			fail_msg("%s", "it does not come to its end");
		}
	}
}
