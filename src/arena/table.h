/* A table of segments: which segment is meant by a number, at both ends of a lane; one table a direction, an end.
 *
 *     sender                                       receiver
 *     tz_table_name(t, segment, ...) -> {entry,    tz_table_look_up(t, name) -> its own mapping
 *                                     edition}
 *
 * The first time that the sender names a segment it chooses an entry, gives it a new edition, and sends {entry, edition, kind, size} with the descriptor. The
 * receiver that meets an edition it has not got reads messages until it has. The sender sends before the name can be seen, so the receiver never has
 * to wait for one; and the receiver changes nothing unless told, so both ends agree without talking.
 *
 * Design notes
 *
 * Busy entries. An entry that is named in something under way is not changed. At the parent's end, that is told from numbers: the last task that names
 * it was collected or taken back. At the worker's, the parent says so: it stores the edition that it needs no longer into a word of that entry (`returned`), with release, after
 * its last look at the memory; the worker's acquire comes before it writes there again. A killed parent or worker leaves nothing to repair: the table dies with the lane.
 *
 * References. A copy that was made for the lane is held until the lane is closed, and used again for the next one; if large, it goes to the cache of segments meanwhile.
 * At the parent's end, segments of others are not held: who named them does that, until the task was collected. At the worker's they
 * are, until they are returned. A worker that has no free entry gives the one away for good that waits for the longest time: it disowns the segment (the parent has it) and uses the entry again.
 *
 * Shared memory and descriptors. Shared memory that is an argument is kept as all else is, so it is sent once. As a result, it is sent each time that it is named, and
 * the parent keeps nothing: what the program does not hold goes. A descriptor is sent each time in both directions, since the receiver takes it out.
 *
 * A receiver without descriptors or memory to map a segment notes that it has lost it; whatever names that entry fails. The worker says so in its replies,
 * and then the parent forgets what the worker knew and sends it anew.
 */
#ifndef TZ_ARENA_TABLE_H
#define TZ_ARENA_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena/segment.h"

enum { TZ_TABLE_ENTRIES = 64 };

struct tz_table_name {
	uint32_t entry, edition;
};

struct tz_table_entry {
	struct tz_segment *segment; /* sender: NULL if it holds none */
	uint32_t id; /* sender: of the segment that the other end knows it by; 0: none */
	uint32_t edition;
	uint32_t until; /* sender: the number after that of the last task that names it */
	uint8_t kind; /* an enum tz_segment_kind */
	bool own; /* made for copies; not anybody else's */
};

struct tz_table {
	struct tz_table_entry entry[TZ_TABLE_ENTRIES];
	uint64_t busy; /* a bit for each entry. Sender: named in something under way. The parent's as receiver: somebody kept it, and it is not returned */
	uint32_t edition; /* the last one that was sent or received */
	int socket; /* not this table's to close */
	bool parent; /* which end it is at */
	bool lost; /* receiver: something could not be mapped */
	_Atomic uint32_t *returned; /* in the lane: one word for each entry, of the direction to the parent */
};

/* --- sender ------------------------------------------------------------------------------------------------------------- */

/* What is over: at the parent's end, all tasks before `collected`; at the worker's, what was returned. */
void tz_table_settle(struct tz_table *t, uint32_t collected);

/* A name for the segment. -EAGAIN: all entries are busy, or the socket is full; or what the socket says. `until`: of the task that will name it, plus 1. */
int tz_table_name(struct tz_table *t, struct tz_segment *s, uint32_t until, struct tz_table_name *ret);

/* Memory for a copy of `size` bytes, with its name. -EAGAIN and errors of the socket as above, -ENOMEM, -ENOSPC, -EMFILE, -ENFILE. */
int tz_table_copy(struct tz_table *t, size_t size, uint32_t until, void **ret_bytes, struct tz_table_name *ret);

/* No task from `number` on is under way. */
void tz_table_retract(struct tz_table *t, uint32_t number);

/* The receiver knows none any more. */
void tz_table_forget(struct tz_table *t);

/* --- receiver ----------------------------------------------------------------------------------------------------------- */

/* The segment that is named, which stays the table's; -EPROTO: no such thing was sent, or not of that kind, or with less than `size` bytes; -EMFILE: it was lost.
 * `bytes`: of kind TZ_SEGMENT_BYTES, else of any other. */
int tz_table_look_up(struct tz_table *t, struct tz_table_name name, bool bytes, size_t size, struct tz_segment **ret);

/* Reads what was sent up to that edition, and closes the descriptors among it that nobody has taken out. */
void tz_table_drop_fds(struct tz_table *t, uint32_t edition);

/* At the parent's end: what was named is needed no longer, unless somebody else holds a reference. */
void tz_table_return(struct tz_table *t, struct tz_table_name name);
void tz_table_return_rest(struct tz_table *t); /* what somebody held then and does not now */

/* Drops all. */
void tz_table_done(struct tz_table *t);

#endif
