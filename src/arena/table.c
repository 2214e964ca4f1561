/* Tables of segments. See table.h. */
#include "arena/table.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/fds.h"

enum {
	KEEP = 1 << 20, /* copies up to this size stay with the lane */
	CLOSE = TZ_SEGMENT_LEAST - 1 /* those up to this size are nobody else's ever */
};

struct message {
	uint32_t entry, edition;
	uint64_t size;
	uint32_t kind, reserved;
};

static uint64_t bit(unsigned i)
{
	return (uint64_t)1 << i;
}

/* The index of the lowest bit that is set; takes it away. */
static unsigned next_bit(uint64_t *bits)
{
	unsigned i = (unsigned)__builtin_ctzll(*bits);

	*bits &= *bits - 1;
	return i;
}

/* --- sender ------------------------------------------------------------------------------------------------------------- */

static void drop(struct tz_table_entry *e)
{
	tz_segment_unref(e->segment);
	e->segment = NULL;
}

static bool is_over(const struct tz_table *t, unsigned i, uint32_t collected)
{
	if (t->parent)
		return (int32_t)(collected - t->entry[i].until) >= 0;
	return atomic_load_explicit(&t->returned[i], memory_order_acquire) == t->entry[i].edition;
}

/* Whether it is sent again each time that it is named. */
static bool is_fleeting(const struct tz_table *t, uint8_t kind)
{
	return kind == TZ_SEGMENT_FD || (kind == TZ_SEGMENT_SHARED && !t->parent);
}

static void settle(struct tz_table *t, unsigned i)
{
	struct tz_table_entry *e = &t->entry[i];

	t->busy &= ~bit(i);
	if (is_fleeting(t, e->kind))
		e->id = 0;
	if (e->segment && (!e->own || e->segment->size > KEEP))
		drop(e);
}

void tz_table_settle(struct tz_table *t, uint32_t collected)
{
	for (uint64_t left = t->busy; left;) {
		unsigned i = next_bit(&left);

		if (is_over(t, i, collected))
			settle(t, i);
	}
}

void tz_table_retract(struct tz_table *t, uint32_t number)
{
	for (uint64_t left = t->busy; left;) {
		struct tz_table_entry *e = &t->entry[next_bit(&left)];

		if ((int32_t)(e->until - number) > 0)
			e->until = number;
	}
}

void tz_table_forget(struct tz_table *t)
{
	for (unsigned i = 0; i < TZ_TABLE_ENTRIES; i++)
		t->entry[i].id = 0;
}

/* The entry to use for something new: one that is not busy, first those that nobody knows or holds, then the one that was sent first. -1: there is none. */
static int choose(const struct tz_table *t)
{
	int best = -1;

	for (int i = 0; i < TZ_TABLE_ENTRIES; i++) {
		const struct tz_table_entry *e = &t->entry[i];

		if (t->busy & bit((unsigned)i))
			continue;
		if (e->id == 0 && !e->segment)
			return i;
		if (best < 0 || (int32_t)(e->edition - t->entry[best].edition) < 0)
			best = i;
	}
	return best;
}

/* A worker's last resort: the parent has one for good. Not one that the result names that is being put together: it is the newest. */
static int give_one_away(struct tz_table *t)
{
	int oldest = 0;

	for (int i = 1; i < TZ_TABLE_ENTRIES; i++)
		if ((int32_t)(t->entry[i].until - t->entry[oldest].until) < 0)
			oldest = i;
	if (t->entry[oldest].segment)
		tz_segment_disown(t->entry[oldest].segment);
	t->busy &= ~bit((unsigned)oldest);
	return oldest;
}

static int send_entry(struct tz_table *t, unsigned i, const struct tz_segment *s)
{
	struct tz_table_entry *e = &t->entry[i];
	struct message m = { .entry = i, .edition = t->edition + 1, .size = s->size, .kind = s->kind };
	ssize_t r = tz_fds_send(t->socket, &m, sizeof m, &s->fd, 1, MSG_DONTWAIT);

	if (r < 0)
		return r == -ETOOMANYREFS || r == -ENOBUFS ? -EAGAIN : (int)r;
	e->edition = t->edition = m.edition;
	e->id = s->id;
	e->kind = (uint8_t)s->kind;
	return 0;
}

static void mark(struct tz_table *t, unsigned i, uint32_t until, struct tz_table_name *ret)
{
	struct tz_table_entry *e = &t->entry[i];

	/* An edition that was returned before is not what is returned next. */
	if (!t->parent)
		atomic_store_explicit(&t->returned[i], e->edition - 1, memory_order_relaxed);
	e->until = until;
	t->busy |= bit(i);
	ret->entry = i;
	ret->edition = e->edition;
}

static int find(const struct tz_table *t, const struct tz_segment *s)
{
	for (int i = 0; i < TZ_TABLE_ENTRIES; i++)
		if (t->entry[i].id == s->id)
			return i;
	return -1;
}

/* An entry for the segment, which the other end has been told. */
static int tell(struct tz_table *t, const struct tz_segment *s)
{
	/* A worker's results may name it while an earlier one is under way. */
	int i = s->kind == TZ_SEGMENT_SHARED && !t->parent ? -1 : find(t, s), r;

	if (i >= 0)
		return i;
	i = choose(t);
	if (i < 0 && !t->parent)
		i = give_one_away(t);
	if (i < 0)
		return -EAGAIN;
	drop(&t->entry[i]);
	t->entry[i].id = 0;
	t->entry[i].own = false;
	r = send_entry(t, (unsigned)i, s);
	return r < 0 ? r : i;
}

int tz_table_name(struct tz_table *t, struct tz_segment *s, uint32_t until, struct tz_table_name *ret)
{
	int i = tell(t, s);

	if (i < 0)
		return i;
	if (!t->parent && !t->entry[i].segment)
		t->entry[i].segment = tz_segment_ref(s);
	mark(t, (unsigned)i, until, ret);
	return 0;
}

/* A copy's segment that is free and large enough, the smallest of them; or -1. */
static int find_free_copy(const struct tz_table *t, size_t size)
{
	int best = -1;

	for (int i = 0; i < TZ_TABLE_ENTRIES; i++) {
		const struct tz_table_entry *e = &t->entry[i];

		if (e->own && !(t->busy & bit((unsigned)i)) && e->id && e->segment && e->segment->size >= size &&
		    (best < 0 || e->segment->size < t->entry[best].segment->size))
			best = i;
	}
	return best;
}

static int make_copy(struct tz_table *t, size_t size)
{
	struct tz_segment *s;
	int r = tz_segment_take(TZ_SEGMENT_BYTES, size, &s), i;

	if (r < 0)
		return r;
	i = tell(t, s);
	if (i < 0) {
		tz_segment_unref(s);
		return i;
	}
	t->entry[i].segment = s;
	t->entry[i].own = true;
	if (s->size <= CLOSE) {
		(void)close(s->fd);
		s->fd = -1;
	}
	return i;
}

int tz_table_copy(struct tz_table *t, size_t size, uint32_t until, void **ret_bytes, struct tz_table_name *ret)
{
	int i = find_free_copy(t, size);

	if (i < 0)
		i = make_copy(t, size);
	if (i < 0)
		return i;
	*ret_bytes = t->entry[i].segment->base;
	mark(t, (unsigned)i, until, ret);
	return 0;
}

/* --- receiver ----------------------------------------------------------------------------------------------------------- */

/* A worker believes its parent. */
static int adopt_file(const struct tz_table *t, const struct message *m, int fd, bool writable, struct tz_segment **ret)
{
	const struct tz_segment_form form = { .trusted = !t->parent };

	if (m->kind == TZ_SEGMENT_SHARED)
		return tz_segment_adopt_shared(fd, m->size, &form, ret);
	return tz_segment_adopt((enum tz_segment_kind)m->kind, fd, m->size, writable, ret);
}

static void adopt(struct tz_table *t, const struct message *m, int fd)
{
	struct tz_table_entry *e = &t->entry[m->entry];
	struct tz_segment *s = NULL;
	/* What an argument refers to is the parent's own memory; a result becomes the parent's. */
	bool writable = m->kind != TZ_SEGMENT_BUFFER || t->parent;

	drop(e);
	e->edition = m->edition;
	e->kind = (uint8_t)m->kind;
	t->busy &= ~bit(m->entry);
	if (fd < 0 || adopt_file(t, m, fd, writable, &s) < 0) {
		t->lost = true;
		return;
	}
	/* Shared memory may be handed on. */
	if (m->kind == TZ_SEGMENT_BYTES || (m->kind == TZ_SEGMENT_BUFFER && !t->parent)) {
		(void)close(s->fd);
		s->fd = -1;
	}
	e->segment = s;
}

/* Reads one message. */
static int receive(struct tz_table *t)
{
	struct message m;
	int fd = -1, n = 1;
	ssize_t r = tz_fds_receive(t->socket, &m, sizeof m, &fd, &n, MSG_DONTWAIT);

	/* Said once, if the other end died with mail unread. What it had sent is there. */
	if (r == -ECONNRESET)
		r = tz_fds_receive(t->socket, &m, sizeof m, &fd, &n, MSG_DONTWAIT);
	if (r < 0)
		return -EPROTO; /* also -EAGAIN: it was sent before its name */
	if (r != sizeof m || n == 0 || m.entry >= TZ_TABLE_ENTRIES || m.edition != t->edition + 1 ||
	    m.kind < TZ_SEGMENT_BYTES || m.kind > TZ_SEGMENT_FD) {
		if (n > 0)
			(void)close(fd);
		return -EPROTO;
	}
	t->edition = m.edition;
	adopt(t, &m, n < 0 ? -1 : fd);
	return 0;
}

int tz_table_look_up(struct tz_table *t, struct tz_table_name name, bool bytes, size_t size, struct tz_segment **ret)
{
	const struct tz_table_entry *e;

	if (name.entry >= TZ_TABLE_ENTRIES || name.edition == 0)
		return -EPROTO;
	e = &t->entry[name.entry];
	while ((int32_t)(name.edition - t->edition) > 0)
		if (receive(t) < 0)
			return -EPROTO;
	if (e->edition != name.edition || (e->kind == TZ_SEGMENT_BYTES) != bytes)
		return -EPROTO;
	if (!e->segment)
		return -EMFILE;
	if (size > e->segment->size)
		return -EPROTO;
	*ret = e->segment;
	return 0;
}

void tz_table_drop_fds(struct tz_table *t, uint32_t edition)
{
	while ((int32_t)(edition - t->edition) > 0)
		if (receive(t) < 0)
			return;
	for (unsigned i = 0; i < TZ_TABLE_ENTRIES; i++) {
		struct tz_table_entry *e = &t->entry[i];

		if (e->segment && e->kind == TZ_SEGMENT_FD && (int32_t)(edition - e->edition) >= 0)
			drop(e);
	}
}

static void give_back(struct tz_table *t, unsigned i)
{
	struct tz_table_entry *e = &t->entry[i];

	t->busy &= ~bit(i);
	if (!e->segment)
		return;
	if (e->kind == TZ_SEGMENT_SHARED || e->kind == TZ_SEGMENT_FD) {
		drop(e);
		atomic_store_explicit(&t->returned[i], e->edition, memory_order_release);
		return;
	}
	/* Acquire: the reference that somebody gave up was the last look at the memory. */
	if (atomic_load_explicit(&e->segment->references, memory_order_acquire) > 1) {
		t->busy |= bit(i);
		return;
	}
	tz_segment_disown(e->segment);
	atomic_store_explicit(&t->returned[i], e->edition, memory_order_release);
}

void tz_table_return(struct tz_table *t, struct tz_table_name name)
{
	if (name.entry < TZ_TABLE_ENTRIES && t->entry[name.entry].edition == name.edition)
		give_back(t, name.entry);
}

void tz_table_return_rest(struct tz_table *t)
{
	for (uint64_t left = t->busy; left;)
		give_back(t, next_bit(&left));
}

void tz_table_done(struct tz_table *t)
{
	for (unsigned i = 0; i < TZ_TABLE_ENTRIES; i++)
		drop(&t->entry[i]);
}
