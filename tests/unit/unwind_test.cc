// Unwinding on contexts: C++ exceptions, pthread_exit and cancellation, and where a backtrace ends.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <pthread.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

extern "C" {
#include "os/context.h"
}

#include "abilities.h"

namespace
{
constexpr std::size_t size = 256 * 1024;
int number = 0, failures = 0;

void check(bool good, const char *what)
{
	std::printf("%s %d - %s\n", good ? "ok" : "not ok", ++number, what);
	failures += !good;
}

struct stack {
	char *low;
	stack()
	    : low(static_cast<char *>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
	{
		if (low == MAP_FAILED)
			std::abort();
	}
	~stack()
	{
		munmap(low, size);
	}
};

tz_context home;

struct coroutine {
	tz_context context = {};
	stack memory;
	bool good = false;
	int id;

	coroutine(void (*fn)(void *), int i) : id(i)
	{
		if (tz_context_make(&context, memory.low, size, fn, this) < 0)
			std::abort();
	}
	~coroutine()
	{
		tz_context_done(&context);
	}
	void go_on()
	{
		tz_context_switch(&home, &context);
	}
	void stop()
	{
		tz_context_switch(&context, &home);
	}
};

[[noreturn]] void leave(coroutine *c)
{
	for (;;)
		c->stop();
}

// Throws, is switched away from in the handler, and throws the same on.
void stop_in_handler(void *arg)
{
	auto *c = static_cast<coroutine *>(arg);
	std::string wanted = "of " + std::to_string(c->id);

	try {
		try {
			throw wanted;
		} catch (...) {
			c->stop();
			throw;
		}
	} catch (const std::string &text) {
		c->stop();
		c->good = text == wanted && std::uncaught_exceptions() == 0;
	}
	c->good &= !std::current_exception();
	leave(c);
}

void handlers_are_each_contexts_own()
{
	coroutine a(stop_in_handler, 1), b(stop_in_handler, 2), d(stop_in_handler, 3);
	bool good;

	a.go_on();
	b.go_on();
	good = !std::current_exception();
	a.go_on();
	d.go_on();
	try {
		throw 7;
	} catch (int seven) {
		a.go_on();
		b.go_on();
		d.go_on();
		b.go_on();
		d.go_on();
		good &= seven == 7 && std::current_exception();
	}
	check(good && a.good && b.good && d.good,
	      "a handler that is switched away from keeps its exception");
}

struct stopper {
	coroutine *c;
	~stopper()
	{
		c->good = std::uncaught_exceptions() == 1;
		c->stop();
		c->good &= std::uncaught_exceptions() == 1;
	}
};

void stop_while_unwinding(void *arg)
{
	auto *c = static_cast<coroutine *>(arg);

	try {
		stopper s{ c };
		throw c->id;
	} catch (int id) {
		c->good &= id == c->id && std::uncaught_exceptions() == 0;
	}
	leave(c);
}

void throw_and_catch(void *arg)
{
	auto *c = static_cast<coroutine *>(arg);

	c->good = true;
	for (int i = 0;; i++) {
		try {
			throw i;
		} catch (int got) {
			c->good &= got == i;
		}
		c->good &= std::uncaught_exceptions() == 0;
		c->stop();
	}
}

void exceptions_on_the_way_are_each_contexts_own()
{
	coroutine a(stop_while_unwinding, 1), b(stop_while_unwinding, 2), t(throw_and_catch, 3);
	bool good = true;

	a.go_on();
	good &= std::uncaught_exceptions() == 0;
	t.go_on();
	b.go_on();
	t.go_on();
	a.go_on();
	t.go_on();
	b.go_on();
	good &= std::uncaught_exceptions() == 0;
	check(good && a.good && b.good && t.good,
	      "a destructor may switch while an exception passes");
}

// Made anew in the middle of a handler: nothing of it is left.
void a_new_context_has_none()
{
	coroutine a(stop_in_handler, 1);

	a.go_on();
	if (tz_context_make(&a.context, a.memory.low, size, throw_and_catch, &a) < 0)
		std::abort();
	a.go_on();
	check(a.good, "a context that is made anew has no exception");
}

bool destroyed;
struct witness {
	~witness()
	{
		destroyed = true;
	}
};

void exit_thread(void *)
{
	witness w;
	static int value;

	pthread_exit(&value);
}

void cancel_self(void *)
{
	witness w;

	pthread_cancel(pthread_self());
	for (;;)
		pthread_testcancel();
}

bool cleaned;

void *run_to_the_end(void *arg)
{
	tz_context mine, there = {};
	stack memory;

	tz_context_of_thread(&mine);
	if (tz_context_make(&there, memory.low, size, reinterpret_cast<void (*)(void *)>(arg),
			    nullptr) < 0)
		std::abort();
	pthread_cleanup_push([](void *) { cleaned = true; }, nullptr);
	tz_context_switch(&mine, &there);
	pthread_cleanup_pop(0);
	return nullptr;
}

void ends_thread(void (*fn)(void *), bool cancelled, const char *what)
{
	pthread_t thread;
	void *ret = nullptr;

	destroyed = cleaned = false;
	if (pthread_create(&thread, nullptr, run_to_the_end, reinterpret_cast<void *>(fn)) != 0 ||
	    pthread_join(thread, &ret) != 0)
		std::abort();
	check(destroyed && (ret == PTHREAD_CANCELED) == cancelled && ret, what);
}

struct frames {
	int count;
	_Unwind_Ptr last;
};

_Unwind_Reason_Code count_frame(_Unwind_Context *context, void *arg)
{
	auto *f = static_cast<frames *>(arg);

	f->count++;
	f->last = _Unwind_GetIP(context);
	return f->count > 1000 ? _URC_END_OF_STACK : _URC_NO_REASON;
}

frames seen;
_Unwind_Reason_Code reason;

void look_back(void *arg)
{
	seen = frames();
	reason = _Unwind_Backtrace(count_frame, &seen);
	leave(static_cast<coroutine *>(arg));
}

void a_backtrace_ends()
{
	coroutine a(look_back, 1);

	a.go_on();
	check(reason == _URC_END_OF_STACK && seen.count >= 2 && seen.count < 12,
	      "a backtrace ends where the context begins");
}

void throw_to_nobody(void *)
{
	throw 5;
}

void an_exception_that_nobody_catches()
{
	int status;

	std::fflush(nullptr);
	pid_t child = fork();

	if (child == 0) {
		rlimit none = {};

		setrlimit(RLIMIT_CORE, &none);
		std::set_terminate([] { _exit(42); });
		coroutine a(throw_to_nobody, 1);
		a.go_on();
		_exit(1);
	}
	check(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
		      WEXITSTATUS(status) == 42,
	      "an exception that nobody catches ends in std::terminate");
}
} // namespace

int main()
{
	tz_context_of_thread(&home);
	handlers_are_each_contexts_own();
	exceptions_on_the_way_are_each_contexts_own();
	if (!BUILT_FOR_SANITIZER) /* the address sanitizer misses the exception */
		a_new_context_has_none();
	if (!BUILT_FOR_SANITIZER) { /* the thread sanitizer knows no pthread_exit on a fiber */
		ends_thread(exit_thread, false,
			    "pthread_exit runs the destructors of its context and ends the thread");
		ends_thread(cancel_self, true, "so does a cancellation");
	}
	a_backtrace_ends();
	an_exception_that_nobody_catches();
	std::printf("1..%d\n", number);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
