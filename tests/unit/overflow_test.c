/* Reports of stack overflow. Each case is a child process that overflows; its standard error is looked at. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza/tasks.h>

#include "abilities.h"
#include "check.h"
#include "dying.h"
#include "loop/overflow.h"
#include "os/context.h"

static struct tz_stacks stacks;
static struct tz_stack stack;
static struct tz_context home, ctx;
static struct tz_overflow overflow;

static size_t describe(void *owner, char *text, size_t size)
{
	return (size_t)snprintf(text, size, "task '%s' (spawned at crawl.c:88)",
				(const char *)owner);
}

/* A loop's thread with one coroutine that runs fn on a stack of that size, owned by a task. */
static void run_on_stack(size_t size, void (*fn)(void *))
{
	if (tz_overflow_begin(&overflow) < 0 || tz_stack_take(&stacks, size, &stack) < 0)
		_exit(80);
	tz_stack_own(&stack, (void *)(uintptr_t) "parse");
	atomic_store(&tz_overflow_describe, describe);
	tz_context_of_thread(&home);
	if (tz_context_make(&ctx, stack.low, stack.size, fn, NULL) < 0)
		_exit(81);
	tz_context_switch(&home, &ctx);
}

static void says_nothing(void)
{
	assert_null(strstr(output, "trenza"));
	if (!EMULATED) /* which reports the signal itself */
		assert_string_equal(output, "");
}

static volatile int enough = -1;

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char here[200];

	here[0] = (char)depth;
	if (depth == enough)
		return 0;
	return recurse(depth + 1) + here[0];
}

static void recurse_for_ever(void *arg)
{
	(void)arg;
	(void)recurse(0);
}

static void overflow_by_recursion(void)
{
	run_on_stack(256 * 1024, recurse_for_ever);
}

static void the_task_is_named(void **state)
{
	(void)state;
	ends_by(status_of_child(overflow_by_recursion), SIGSEGV);
	says("trenza: stack overflow in task 'parse' (spawned at crawl.c:88), stack 256 KiB: ");
	says("\n  #0  0x");
	says("unit-overflow+0x"); /* the file, and where in it */
	says("\n  #15  0x");
	says("\n  ... ");
	says(" more\n");
	assert_null(strstr(output, "-fno-omit-frame-pointer"));
}

static void overflow_small(void)
{
	run_on_stack(1, recurse_for_ever);
}

static void overflow_large(void)
{
	run_on_stack((size_t)3 << 20, recurse_for_ever);
}

static void with_the_size(void **state)
{
	(void)state;
	ends_by(status_of_child(overflow_small), SIGSEGV);
	says(", stack 64 KiB: ");
	ends_by(status_of_child(overflow_large), SIGSEGV);
	says(", stack 4 MiB: ");
}

static void overflow_with_mprotect(void)
{
	tz_guards_at_best = TZ_GUARDS_MPROTECT;
	overflow_by_recursion();
}

static void with_either_guard(void **state)
{
	(void)state;
	ends_by(status_of_child(overflow_with_mprotect), SIGSEGV);
	says("stack overflow in task 'parse'");
}

static void write_below(void *arg)
{
	(void)arg;
	stack.low[-16] = 1;
	for (;;)
		tz_context_switch(&ctx, &home);
}

static void overflow_without_guard(void)
{
	tz_guards_at_best = TZ_GUARDS_NONE;
	run_on_stack(64 * 1024, write_below);
	if (tz_stack_is_intact(&stacks, &stack))
		_exit(82);
	tz_overflow_found(&stack);
}

static void a_gap_that_was_written(void **state)
{
	(void)state;
	ends_by(status_of_child(overflow_without_guard), SIGSEGV);
	says("stack overflow in task 'parse' (spawned at crawl.c:88), stack 64 KiB: ");
}

static void follow_null(void *arg)
{
	*(volatile char *)arg = 1;
}

static void fault_elsewhere(void)
{
	run_on_stack(64 * 1024, follow_null);
}

static void touch_another_guard(void *arg)
{
	struct tz_stack other[40];

	/* So far away that it cannot be a frame of this stack. */
	for (int i = 0; i < 40; i++)
		if (tz_stack_take(&stacks, 64 * 1024, &other[i]) < 0)
			_exit(83);
	other[39].low[-1] = 1;
	(void)arg;
}

static void fault_in_another_guard(void)
{
	run_on_stack(64 * 1024, touch_another_guard);
}

/* Not everything that faults is an overflow. */
static void other_faults_are_not_reported(void **state)
{
	(void)state;
	ends_by(status_of_child(fault_elsewhere), SIGSEGV);
	says_nothing();
	ends_by(status_of_child(fault_in_another_guard), SIGSEGV);
	says_nothing();
}

static void say_and_leave(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGSEGV && info->si_addr)
		_exit(42);
	_exit(43);
}

static void overflow_with_a_handler(void)
{
	struct sigaction action = { .sa_sigaction = say_and_leave, .sa_flags = SA_SIGINFO };

	(void)sigaction(SIGSEGV, &action, NULL);
	overflow_by_recursion();
}

static void the_handler_before_is_called(void **state)
{
	int status = status_of_child(overflow_with_a_handler);

	(void)state;
	says("stack overflow in task 'parse'");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static char *page;
static volatile sig_atomic_t handled;

static void make_writable(int sig)
{
	sigset_t mask;

	handled++;
	(void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
	if (!sigismember(&mask, SIGUSR1) || !sigismember(&mask, sig))
		_exit(84);
	(void)mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void write_to_page(void *arg)
{
	(void)arg;
	page[7] = 1;
	for (;;)
		tz_context_switch(&ctx, &home);
}

static void fault_that_is_repaired(void)
{
	struct sigaction action = { .sa_handler = make_writable };

	sigaddset(&action.sa_mask, SIGUSR1);
	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)sigaction(SIGSEGV, &action, NULL);
	run_on_stack(64 * 1024, write_to_page);
	tz_overflow_end(&overflow);
	_exit(handled == 1 && page[7] == 1 ? 44 : 85);
}

/* As collectors and emulators do. */
static void a_handler_may_repair(void **state)
{
	int status = status_of_child(fault_that_is_repaired);

	(void)state;
	says_nothing();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 44);
}

static void kill_self(void *arg)
{
	(void)arg;
	(void)raise(SIGSEGV);
	for (;;)
		tz_context_switch(&ctx, &home);
}

static void signal_from_outside(void)
{
	run_on_stack(64 * 1024, kill_self);
	_exit(86);
}

static void ignored_signal(void)
{
	(void)signal(SIGSEGV, SIG_IGN);
	run_on_stack(64 * 1024, kill_self);
	_exit(45);
}

static void signals_that_somebody_sends(void **state)
{
	int status;

	(void)state;
	ends_by(status_of_child(signal_from_outside), SIGSEGV);
	says_nothing();
	status = status_of_child(ignored_signal);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 45);
}

static void switched_off(void)
{
	(void)setenv("TRENZA_OVERFLOW", "off", 1);
	if (tz_overflow_begin(&overflow) < 0)
		_exit(87);
	struct sigaction now;

	(void)sigaction(SIGSEGV, NULL, &now);
	if (now.sa_handler != SIG_DFL || overflow.memory)
		_exit(88);
	overflow_by_recursion();
}

static void refused_by_the_program(void)
{
	struct sigaction now;

	if (tz_report_overflows(true) < 0 || tz_report_overflows(false) < 0 ||
	    tz_overflow_begin(&overflow) < 0)
		_exit(87);
	(void)sigaction(SIGSEGV, NULL, &now);
	if (now.sa_handler != SIG_DFL || overflow.memory)
		_exit(88);
	if (tz_report_overflows(true) != -EBUSY)
		_exit(89);
	overflow_by_recursion();
}

static void it_can_be_switched_off(void **state)
{
	(void)state;
	ends_by(status_of_child(switched_off), SIGSEGV);
	says_nothing();
	ends_by(status_of_child(refused_by_the_program), SIGSEGV);
	says_nothing();
}

static void *loop_of_its_own(void *arg)
{
	(void)arg;
	overflow_by_recursion();
	return NULL;
}

static void overflow_in_a_thread(void)
{
	pthread_t thread;

	if (tz_overflow_begin(&(struct tz_overflow){ 0 }) < 0 ||
	    pthread_create(&thread, NULL, loop_of_its_own, NULL) != 0)
		_exit(89);
	(void)pthread_join(thread, NULL);
}

static void each_thread_has_a_stack_for_it(void **state)
{
	(void)state;
	ends_by(status_of_child(overflow_in_a_thread), SIGSEGV);
	says("stack overflow in task 'parse'");
}

static void alternate_stacks(void)
{
	static char own[64 * 1024];
	stack_t before = { .ss_sp = own, .ss_size = sizeof own }, now,
		none = { .ss_flags = SS_DISABLE };

	if (tz_overflow_begin(&overflow) < 0 || sigaltstack(NULL, &now) < 0 ||
	    now.ss_flags & SS_DISABLE)
		_exit(1);
	memset(now.ss_sp, 1, now.ss_size);
	tz_overflow_end(&overflow);
	if (sigaltstack(NULL, &now) < 0 || !(now.ss_flags & SS_DISABLE) || overflow.memory)
		_exit(2);
	tz_overflow_end(&overflow); /* once more does nothing */
	/* Somebody else's is left alone. */
	(void)sigaltstack(&before, NULL);
	if (tz_overflow_begin(&overflow) < 0 || overflow.memory)
		_exit(3);
	tz_overflow_end(&overflow);
	if (sigaltstack(NULL, &now) < 0 || now.ss_sp != own)
		_exit(4);
	/* And so is one that came later. */
	(void)sigaltstack(&none, NULL);
	if (tz_overflow_begin(&overflow) < 0 || !overflow.memory)
		_exit(5);
	(void)sigaltstack(&before, NULL);
	tz_overflow_end(&overflow);
	if (sigaltstack(NULL, &now) < 0 || now.ss_sp != own)
		_exit(6);
	_exit(100);
}

static void the_alternate_stack_comes_and_goes(void **state)
{
	int status = status_of_child(alternate_stacks);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_task_is_named),
		cmocka_unit_test(with_the_size),
		cmocka_unit_test(with_either_guard),
		cmocka_unit_test(a_gap_that_was_written),
		cmocka_unit_test(other_faults_are_not_reported),
		cmocka_unit_test(the_handler_before_is_called),
		cmocka_unit_test(a_handler_may_repair),
		cmocka_unit_test(signals_that_somebody_sends),
		cmocka_unit_test(it_can_be_switched_off),
		cmocka_unit_test(each_thread_has_a_stack_for_it),
		cmocka_unit_test(the_alternate_stack_comes_and_goes),
	};

	if (BUILT_FOR_SANITIZER) {
		puts("1..0 # SKIP the sanitizers have such a handler themselves");
		return 0;
	}
	return cmocka_run_group_tests_name("overflow", tests, NULL, NULL);
}
