/* The terms between the farm and its workers: what the words in their lanes mean, and what a worker is born with. */
#ifndef TZ_EXEC_PROCESS_TERMS_H
#define TZ_EXEC_PROCESS_TERMS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <trenza/outcome.h>

#include "shared/giver.h"
#include "wire/name.h"

/* tz_lane_what.kind of a task. */
enum {
	TERM_TEACH = 1, /* code is the number of a task, from now on; the payload is its name; time is
			   for tz_lane_drop_fds */
	TERM_CALL, /* code is a task's number, the payload its arguments; time is the deadline, in ns */
	TERM_BLOCK /* code is a task's number, the payload a struct term_block and its elements */
};

/* tz_lane_what.flags of a call. */
enum {
	TERM_ENCODED =
		1, /* the payload is of tz_args_encode; else it is the arguments as they are */
	TERM_KEPT = 2 /* it lies in the parent's memory, and may be given to another worker after this one: it is to be copied, not decoded in place */
};

/* In front of the elements of a map. */
struct term_block {
	uint64_t n;
	uint64_t lo; /* index of the first one */
	uint32_t how; /* of TERM_EACH and TERM_STOPS */
	uint32_t retries; /* of each call, with TERM_EACH */
	unsigned char fill[64 - 24];
};
_Static_assert(sizeof(struct term_block) == 64, "elements are aligned");

/* How a piece is called. */
enum {
	TERM_EACH = 1, /* each call has an outcome of its own, and what comes back is a report */
	TERM_STOPS = 2 /* behind a call that failed, the others are not made */
};

/* A report: a struct term_failure, of which `element` is how many calls have been made, from the first one on; then `word` of them, of the calls that failed, in their
 * order, of which `word` is the tz_status; then the results of all calls that were made. With TZ_OK, the calls that are missing are still to be made, unless TERM_STOPS
 * tells why they are not. */
enum { TERM_FAILURES = 16 }; /* in one report, at the most */

/* tz_lane_what of a result: code is the tz_status; time the ns that it took. If the status is not TZ_OK, the payload begins with a
 * struct term_failure; of a piece of a map, its results follow, if all of its elements were called. */
struct term_failure {
	int32_t code;
	uint32_t word; /* in a report */
	uint64_t element; /* of a map; UINT64_MAX: none */
	char message[TZ_MESSAGE_MAX];
	unsigned char fill[16];
};
_Static_assert(sizeof(struct term_failure) == 192, "results are aligned");

/* Why a task is asked to end: tz_lane_cancel. */
enum { TERM_CANCELLED = 1, TERM_DEADLINE = 2 };

/* How far a worker has come. */
enum {
	PHASE_BORN = 0,
	PHASE_READY = 1,
	PHASE_BROKEN = 2 /* its setup failed */,
	PHASE_RETIRED = 3 /* it ends, and all is well */
};

/* Memory that parent and worker share, for what is not in the lane. Written by the worker. */
struct farm_slate {
	_Atomic uint32_t phase;
	_Atomic int32_t code; /* why its setup failed */
	_Atomic uint32_t piece; /* 1 + the number of the piece of a map that the next three are of */
	_Atomic uint64_t element; /* of it, which is being called */
	_Atomic uint64_t kept; /* results of it that are in `results`, if they are not flat */
	_Atomic uint64_t resident; /* bytes */
	char message[TZ_MESSAGE_MAX];
	/* Calls of a piece that have failed, as in a report. */
	_Atomic uint32_t nfailures;
	struct term_failure failures[TERM_FAILURES];
	/* Results of a piece of a map that is being called, as far as there is room: what was called before a crash is not lost. They lie here if they are flat and all have room;
	 * of others there are copies: the size of the first, 8 bytes, then it, as by tz_results_encode, then the second at a multiple of 8. */
	_Alignas(64) unsigned char results[60 << 10];
};

/* What a worker is born with: its blob. Behind it, the name of the setup task (name_size) and its arguments (args_size), each at a multiple of 16. */
struct farm_setup {
	uint32_t magic;
	uint32_t size;
	int32_t index;
	uint32_t max_tasks;
	uint64_t memory;
	uint32_t name_size, args_size;
	uint32_t has_initializer, has_finalizer;
	uint32_t nrefs, reserved; /* what the arguments refer to: further descriptors, in this order */
	struct tz_ref refs[TZ_GIVER_MAX];
	struct tz_task_name initializer, finalizer;
	char executor[64];
};
enum { SETUP_MAGIC = 0x747a7731 };

/* The worker's descriptors, in this order. */
enum { WORKER_FD_LANE, WORKER_FD_SOCKET, WORKER_FD_BELL, WORKER_FD_SLATE, WORKER_FDS };

#endif
