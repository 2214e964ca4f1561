/* The injector: FIFOs in blocks. See injector.h. */
#include "sched/injector.h"

#include <stdlib.h>

#include "core/counter.h"

static struct tz_block *new_block(struct tz_injector *in)
{
	struct tz_block *b = in->spare ? in->spare : malloc(sizeof *b);

	in->spare = NULL;
	if (b)
		b->next = NULL;
	return b;
}

static void drop_block(struct tz_injector *in, struct tz_block *b)
{
	if (in->spare)
		free(b);
	else
		in->spare = b;
}

/* Makes room for one more. */
static bool extend(struct tz_injector *in, struct tz_fifo *f)
{
	struct tz_block *b = new_block(in);

	if (!b)
		return false;
	if (f->last)
		f->last->next = b;
	else
		f->first = b, f->head = 0;
	f->last = b;
	f->tail = 0;
	return true;
}

size_t tz_injector_push(struct tz_injector *in, tz_job *const *jobs, size_t n, tz_priority priority)
{
	struct tz_fifo *f = &in->fifos[priority - TZ_PRIORITY_LOW];
	size_t done = 0;

	while (done < n) {
		if ((!f->last || f->tail == TZ_BLOCK_JOBS) && !extend(in, f))
			break;
		f->last->jobs[f->tail++] = jobs[done++];
	}
	tz_counter_add(&in->lengths[priority - TZ_PRIORITY_LOW].n, done);
	return done;
}

/* The first block has been read to its end, or all has been read. */
static void advance(struct tz_injector *in, struct tz_fifo *f)
{
	struct tz_block *b = f->first;

	if (b == f->last && f->head == f->tail) {
		f->head = f->tail = 0; /* empty: the block is used again from its start */
	} else if (f->head == TZ_BLOCK_JOBS) {
		f->first = b->next;
		f->head = 0;
		drop_block(in, b);
	}
}

size_t tz_injector_take(struct tz_injector *in, tz_job **jobs, size_t n, tz_priority priority)
{
	struct tz_fifo *f = &in->fifos[priority - TZ_PRIORITY_LOW];
	size_t have = tz_injector_length_of(in, priority), taken = 0;

	if (n > have)
		n = have;
	while (taken < n) {
		jobs[taken++] = f->first->jobs[f->head++];
		if (f->head == TZ_BLOCK_JOBS || (f->first == f->last && f->head == f->tail))
			advance(in, f);
	}
	tz_counter_subtract(&in->lengths[priority - TZ_PRIORITY_LOW].n, taken);
	return taken;
}

void tz_injector_done(struct tz_injector *in)
{
	for (int i = 0; i < TZ_PRIORITIES; i++) {
		while (in->fifos[i].first) {
			struct tz_block *b = in->fifos[i].first;

			in->fifos[i].first = b->next;
			free(b);
		}
		in->fifos[i].last = NULL;
	}
	free(in->spare);
	in->spare = NULL;
}
