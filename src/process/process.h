/* The handle on a process, as the room sees it. */
#ifndef TZ_PROCESS_PROCESS_H
#define TZ_PROCESS_PROCESS_H

#include <trenza/process.h>

#include "process/child.h"
#include "shared/giver.h"
#include "sync/waiters.h"

enum { TZ_AUTHKEY_MAX = 256 };

enum tz_process_kind { TZ_PROCESS_CHILD, TZ_PROCESS_OWN, TZ_PROCESS_PARENT };

enum tz_process_state { TZ_PROCESS_NEW, TZ_PROCESS_STARTING, TZ_PROCESS_RUNNING, TZ_PROCESS_ENDED };

struct tz_process {
	enum tz_process_kind kind;
	_Atomic uint32_t state; /* an enum tz_process_state */
	_Atomic uint32_t refs; /* handles, and the process itself while it runs */
	_Atomic(struct tz_child *) child; /* once it runs */
	struct tz_waiters joiners;
	struct tz_child_exit how; /* once it has ended */
	tz_outcome outcome; /* of its function, as it said itself: status TZ_PENDING if it has said nothing. Once it has ended */
	int report; /* the end of the pipe by which it says that; or -1 */
	bool daemon;
	pid_t pid; /* of a parent */
	int pidfd; /* of a parent, or -1 */
	char name[TZ_NAME_MAX], task[TZ_NAME_MAX];
	unsigned char authkey[TZ_AUTHKEY_MAX];
	size_t authkey_size;
	void *blob; /* until it was started */
	size_t blob_size;
	struct tz_giver giver; /* until it was started: what goes beside the blob */
	tz_process_options options; /* a copy, of a deferred one */
	struct tz_process *next, *prev; /* of those that run: roll.c */
};

/* --- roll.c: those that run, and the end of the application ----------------------------------------------------------------- */

void tz_roll_enter(tz_process *p); /* with a reference */
void tz_roll_leave(tz_process *p); /* gives it back: it has not been started */
void tz_roll_end(tz_process *p); /* it has ended: says so to who waits, and gives the reference back */

/* --- entry.c: what travels to a process, and what it does there ---------------------------------------------------------------- */

/* The blob that a call becomes; from malloc. What goes beside it is the giver's. `by_address`: for a fork. */
int tz_process_pack(const tz_process *p, const tz_task *task, const void *args, bool by_address, struct tz_giver *giver, void **ret_blob,
		    size_t *ret_size);

/* What the process has said of its function's failure; false if nothing. */
bool tz_process_read_report(int fd, tz_outcome *ret);

/* --- own.c: the calling process --------------------------------------------------------------------------------------------- */

/* What the starter of this process had fixed as the default method, and what its children are to have; 0: none yet. */
extern _Atomic int tz_start_method_fixed;

/* The key of this process; room for TZ_AUTHKEY_MAX. */
size_t tz_own_authkey(unsigned char *to);
void tz_own_authkey_set(const unsigned char *key, size_t size);

#endif
