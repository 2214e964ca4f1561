/* Children: processes that run code of this program, by any start method; what tz_process and the process executor stand on.
 *
 * A child begins in one of the entries below, with a birth: the bytes and descriptors that its starter gave it. It is the program as it was before
 * main(), with method `fork` a copy of the starter. Its end is told once, to `on_exit`, on a thread that has no more than that to do then.
 */
#ifndef TZ_PROCESS_CHILD_H
#define TZ_PROCESS_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum tz_child_method {
	TZ_CHILD_FORKSERVER = 0, /* a fork of the nursery */
	TZ_CHILD_SPAWN, /* the program executed anew, by the nursery */
	TZ_CHILD_FORK /* a fork of the caller */
};

/* What a child does. */
enum tz_child_entry {
	TZ_CHILD_PROCESS = 0, /* a tz_process */
	TZ_CHILD_WORKER, /* a worker of the process executor */
	TZ_CHILD_ENTRIES
};

/* What a child was given. Memory and descriptors are its own, for its whole life. */
struct tz_birth {
	const void *blob; /* a copy of the starter's, aligned to 16; writable */
	size_t size;
	const int *fds; /* the starter's, under new numbers, close-on-exec */
	int nfds;
	pid_t parent; /* the application that started it, not the nursery */
	const char *name;
	enum tz_child_method method;
	bool daemon;
	bool may_start; /* it may have children */
};

/* The functions that the entries call; what they return is the child's exit code. Set by the rooms that own them, by a constructor with a priority:
 *
 *     __attribute__((constructor(1000))) static void set_entry(void) { atomic_store(&tz_child_entries[TZ_CHILD_WORKER], worker_main); }
 *
 * since the take-over of a statically linked program is a constructor, too, which comes after all that have one. The child is single-threaded when it is called. No signal is
 * blocked in it, and those are ignored that the application ignores, but SIGCHLD. It may return, or call exit() or _exit() itself. */
typedef int (*tz_child_main)(const struct tz_birth *birth);
extern _Atomic(tz_child_main) tz_child_entries[TZ_CHILD_ENTRIES];

/* What the nursery may do for an entry after it has forked a child with that blob, so that the next one with such a blob finds it done: only memory is to be
 * changed by it, and no code of the program's runs. Set as the entries are; NULL: nothing. */
typedef void (*tz_child_learn)(const void *blob, size_t size);
extern _Atomic(tz_child_learn) tz_child_learners[TZ_CHILD_ENTRIES];

/* How a child ended. */
struct tz_child_exit {
	int code; /* of exit(), 0..255; or -1 */
	int signal; /* that ended it, or 0 */
	bool core; /* it dumped core */
	bool lost; /* nobody could learn how it ended: code is -1, signal 0 */
	pid_t pid;
	uint64_t run_ns; /* from its start to its end */
	uint64_t cpu_ns; /* user and system time of it and of the children that it waited for; 0: not known */
	uint64_t peak_bytes; /* the most memory that it had resident; 0: not known */
};

struct tz_child; /* counted */

/* What the standard descriptors of a child are. */
enum { TZ_CHILD_INHERIT = 0, TZ_CHILD_NULL = -1 /* /dev/null */ };

/* All-zero but for `entry` is an ordinary one. Everything is copied; descriptors are duplicated. */
struct tz_child_start {
	enum tz_child_method method;
	enum tz_child_entry entry;
	const void *blob;
	size_t size;
	const int *fds; /* at most TZ_CHILD_FDS_MAX: the child sees them as birth->fds */
	int nfds;
	const int *keep; /* descriptors that the child has under the same numbers, not close-on-exec; 3 or more */
	int nkeep;
	/* A descriptor + 1; TZ_CHILD_INHERIT: the application's; TZ_CHILD_NULL: /dev/null. */
	int in, out, err;
	const char *name; /* also the kernel's, cut to 15 bytes; NULL: the program's */
	char *const *env; /* NULL: the application's environment */
	const char *cwd; /* NULL: the application's */
	const int *cpus; /* NULL: those of the calling thread */
	int ncpus;
	const struct tz_child_limit {
		int resource; /* RLIMIT_... */
		struct rlimit limit;
	} *limits; /* beside the application's */
	int nlimits;
	int umask; /* + 1; 0: the application's */
	bool daemon, may_start; /* for the birth */
	bool insist; /* fork although other threads run */
	bool own_group; /* the child leads a process group of its own */
	/* Called once, on the watching thread or one that waits for a child to start or to end, when the child has ended and was reaped; `child` is still referenced. Must not block, nor start children. */
	void (*on_exit)(struct tz_child *child, const struct tz_child_exit *how, void *arg);
	void *arg;
};

enum { TZ_CHILD_FDS_MAX = 200 }; /* of fds and keep together */

/* Starts a child; when this returns, it exists, and its attributes (directory, limits, ...) are set. Blocks the calling thread for the time of a fork. *ret_child is a reference.
 * on_exit may be called before this returns.
 *
 * -ENOEXEC: the program could not be executed anew, or ended before it was taken over; -EPERM: in a set-user-ID program; -EDEADLK: `fork` where other threads run;
 * -ECONNABORTED: the nursery was killed meanwhile, and the child with it, if it had begun; -EAGAIN, -ENOMEM, -EMFILE and others: what the system said to a step of it;
 * -EINVAL; -EPERM also in a daemon that may not start any. on_exit is not called if this fails. */
int tz_child_start(struct tz_child **ret_child, const struct tz_child_start *start);

/* The same in two steps, so that several can begin beside each other: the first asks for the child, the second waits until it exists, and fails as the whole would. Who asks must wait,
 * once; where that fails, he still has his reference. */
int tz_child_ask(struct tz_child **ret_child, const struct tz_child_start *start);
int tz_child_await_start(struct tz_child *child);

/* Waits for its end by reading what its nursery says, which is quicker than to be woken by who reads it. False: somebody else reads it, or nobody would say anything there. The
 * wait cannot be ended. on_exit may be called meanwhile, of this child and of others, on the calling thread. */
bool tz_child_await_end(struct tz_child *child);

/* The method that is meant by a number of tz_start_method (trenza/process.h); 0 is the process-wide default, which is fixed by being used. 0 or -EINVAL. */
int tz_child_method_of(int start, enum tz_child_method *ret);

/* Sends a signal: 0, or -ESRCH once the child has ended and was reaped. Async-signal-safe unless the kernel has no pidfds. */
int tz_child_signal(struct tz_child *child, int signal);

pid_t tz_child_pid(const struct tz_child *child);

/* A descriptor that is readable once the child has ended, the child's until the last reference goes; -1 if there is none to have. */
int tz_child_pidfd(const struct tz_child *child);

/* Whether it has ended, and how: false while it runs. True before on_exit is called. */
bool tz_child_ended(struct tz_child *child, struct tz_child_exit *ret_how);

struct tz_child *tz_child_ref(struct tz_child *child);
void tz_child_unref(struct tz_child *child); /* NULL is legal; the child goes on */

#endif
