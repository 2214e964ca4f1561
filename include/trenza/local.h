/* Strand-local values: one variable, another value in each strand.
 *
 *     static void *new_buffer(void *arg) { return malloc(4096); }
 *     static tz_local buffer = TZ_LOCAL_INIT(new_buffer, free, NULL);
 *
 *     char *mine = tz_local_get(&buffer);      // made on the strand's first use, freed at its end
 *
 * Unlike thread-local variables they follow a coroutine, and two coroutines that share a thread do
 * not share them.
 */
#ifndef TRENZA_LOCAL_H
#define TRENZA_LOCAL_H

#include <trenza/base.h>

TZ_BEGIN_DECLS

/* A key. All-zero is one without functions: each strand's value is NULL until it sets one. */
typedef struct tz_local {
	void *(*tz__make)(void *arg);
	void (*tz__destroy)(void *value);
	void *tz__arg;
	uint64_t tz__key; /* 0: not used yet */
} tz_local;

/* TZ_LOCAL_INIT - the initializer of a static tz_local: see tz_local_init.
 *
 * Form: tz_local key = TZ_LOCAL_INIT(void *(*make)(void *arg), void (*destroy)(void *value), void *arg);
 * Ownership: as tz_local_init.
 * Threads: any.
 * Errors: none. */
#define TZ_LOCAL_INIT(make, destroy, arg) \
	{ \
		make, destroy, arg, 0 \
	}

/* tz_local_init - a key whose value make(arg) makes on a strand's first use, and destroy(value)
 * releases at its end.
 *
 * Either function may be NULL: without make a strand's value is NULL at first, without destroy it
 * is dropped. destroy is called on the ending strand, for values other than NULL. It may use other
 * keys; values that it sets are released in turn, up to four rounds.
 *
 * Ownership: the key's memory is the caller's and stays where it is; tz_local_done releases what it
 * holds.
 * Threads: one, before the key is used.
 * Errors: none. */
TZ_API void tz_local_init(tz_local *local, void *(*make)(void *arg), void (*destroy)(void *value),
			  void *arg);

/* tz_local_done - ends a key. It is all-zero afterwards.
 *
 * Ownership: the values of all strands are forgotten, and not destroyed: let the strands that use
 * the key end first, or set their values to NULL.
 * Threads: one, when nobody uses the key.
 * Errors: none; all-zero is legal. */
TZ_API void tz_local_done(tz_local *local);

/* tz_local_get - the calling strand's value, made now if there is none yet.
 *
 * Ownership: the value belongs to the strand, and is destroyed at the strand's end.
 * Threads: any; each strand gets its own.
 * Errors: NULL when make returned that, when there is no make and none was set, or when memory ran
 * out. */
TZ_API void *tz_local_get(tz_local *local);

/* tz_local_set - sets the calling strand's value. The one it had is not destroyed: it is the
 * caller's again.
 *
 * Ownership: the value belongs to the strand from now on, and is destroyed at the strand's end
 * unless it is NULL.
 * Threads: any.
 * Errors: -ENOMEM; the old value has stayed. */
TZ_API int tz_local_set(tz_local *local, void *value);

TZ_END_DECLS

#endif
