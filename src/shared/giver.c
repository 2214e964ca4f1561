/* Givers and takers. See giver.h. */
#include "shared/giver.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shared/connection.h"

enum { OFFSET_BITS = 48 };

/* --- giving --------------------------------------------------------------------------------------------------------------- */

static struct tz_giver *giver_of(const struct tz_carrier *carrier)
{
	return (struct tz_giver *)(uintptr_t)carrier;
}

/* The index that the segment has, or gets. Takes the caller's reference. -EMSGSIZE: there is no room for one more. */
static int add(struct tz_giver *g, struct tz_segment *s)
{
	unsigned i = 0;

	while (i < g->n && g->refs[i] != s)
		i++;
	if (i < g->n || i == g->limit)
		tz_segment_unref(s);
	if (i == g->limit)
		return -EMSGSIZE;
	if (i == g->n)
		g->refs[g->n++] = s;
	return (int)i;
}

static bool give(const struct tz_carrier *carrier, const void *data, size_t size, uint64_t *ret_key, uint64_t *ret_offset)
{
	struct tz_giver *g = giver_of(carrier);
	struct tz_segment *s = g->buffers && size >= TZ_SEGMENT_LEAST ? tz_segment_find(data, size) : NULL;
	int i;

	if (s && s->kind != TZ_SEGMENT_BUFFER) {
		tz_segment_unref(s);
		return false;
	}
	const unsigned char *base = s ? s->base : NULL;

	i = s ? add(g, s) : -1;
	if (i < 0)
		return false;
	if (ret_key) {
		*ret_key = (uint64_t)i;
		*ret_offset = (uint64_t)((const unsigned char *)data - base);
	}
	return true;
}

static int give_pointer(struct tz_giver *g, const void *spot, uint64_t *ret_words)
{
	const unsigned char *p, *base;
	struct tz_segment *s;
	int i;

	memcpy(&p, spot, sizeof p);
	if (!p)
		return 0;
	s = tz_segment_find_shared(p);
	if (!s)
		return -ENOTSUP;
	base = s->base;
	i = add(g, s);
	if (i < 0)
		return i;
	ret_words[0] = (uint64_t)(i + 1) << OFFSET_BITS | (uint64_t)(p - base);
	return 0;
}

static int add_fd(struct tz_giver *g, int fd, uint64_t *ret_word)
{
	struct tz_segment *s;
	int i = tz_segment_of_fd(fd, &s);

	if (i == 0)
		i = add(g, s);
	if (i < 0)
		return i;
	*ret_word = (uint64_t)i + 1;
	return 0;
}

static int give_fd(struct tz_giver *g, const void *spot, uint64_t *ret_words)
{
	int fd;

	memcpy(&fd, spot, sizeof fd);
	return fd < 0 ? 0 : add_fd(g, fd, ret_words);
}

static int give_connection(struct tz_giver *g, const void *spot, uint64_t *ret_words)
{
	struct tz_connection_terms terms;
	tz_connection *c;
	int fd, r;

	_Static_assert(sizeof terms == 2 * sizeof *ret_words, "the terms are the other words");
	memcpy(&c, spot, sizeof c);
	if (!c)
		return 0;
	r = tz_connection_is(c) ? tz_connection_depart(c, &fd, &terms) : -EBADF;
	if (r < 0)
		return r;
	memcpy(ret_words + 1, &terms, sizeof terms);
	return add_fd(g, fd, ret_words);
}

static int give_handle(const struct tz_carrier *carrier, enum tz_spot_kind kind, const void *spot, uint64_t *ret_words)
{
	switch (kind) {
	case TZ_SPOT_POINTER:
		return give_pointer(giver_of(carrier), spot, ret_words);
	case TZ_SPOT_FD:
		return give_fd(giver_of(carrier), spot, ret_words);
	case TZ_SPOT_CONNECTION:
		return give_connection(giver_of(carrier), spot, ret_words);
	default:
		return -ENOTSUP;
	}
}

void tz_giver_init(struct tz_giver *ret, unsigned limit, bool buffers)
{
	ret->carrier = (struct tz_carrier){ .give = give, .give_handle = give_handle };
	ret->n = 0;
	ret->limit = limit;
	ret->buffers = buffers;
}

void tz_giver_done(struct tz_giver *giver)
{
	for (unsigned i = 0; i < giver->n; i++)
		tz_segment_unref(giver->refs[i]);
	giver->n = 0;
}

/* --- taking --------------------------------------------------------------------------------------------------------------- */

static struct tz_taker *taker_of(const struct tz_carrier *carrier)
{
	return (struct tz_taker *)(uintptr_t)carrier;
}

static struct tz_segment *ref_of(const struct tz_taker *t, uint64_t index, enum tz_segment_kind kind)
{
	return index < t->nrefs && t->refs[index]->kind == kind ? t->refs[index] : NULL;
}

static const void *take(const struct tz_carrier *carrier, uint64_t key, uint64_t offset, size_t size)
{
	const struct tz_taker *t = taker_of(carrier);
	struct tz_segment *s = ref_of(t, key, TZ_SEGMENT_BUFFER);

	if (!s || offset > s->size || size > s->size - offset)
		return NULL;
	if (t->how != TZ_TAKE_RESULT)
		return s->base + offset;
	if (offset != 0) /* the caller frees it by tz_buffer_free, which takes the beginning of one */
		return NULL;
	tz_segment_own(tz_segment_ref(s)); /* where it is found by its address */
	return s->base;
}

static int take_pointer(const struct tz_taker *t, enum tz_take how, uint64_t word, void *spot)
{
	struct tz_segment *s = word ? ref_of(t, (word >> OFFSET_BITS) - 1, TZ_SEGMENT_SHARED) : NULL;
	uint64_t offset = word & ((UINT64_C(1) << OFFSET_BITS) - 1);
	const unsigned char *p;

	if (!s || offset >= tz_segment_backed(s))
		return -EBADMSG;
	if (how == TZ_TAKE_RESULT)
		(void)tz_segment_ref(s);
	p = s->base + offset;
	memcpy(spot, &p, sizeof p);
	return 0;
}

/* Takes a descriptor out of its segment; -1: there is none. */
static int take_out(const struct tz_taker *t, uint64_t word)
{
	struct tz_segment *s = ref_of(t, word - 1, TZ_SEGMENT_FD);
	int fd = s ? s->fd : -1;

	if (s)
		s->fd = -1;
	return fd;
}

static int take_fd(struct tz_taker *t, enum tz_take how, uint64_t word, void *spot)
{
	int fd = t->nfds < TZ_GIVER_MAX ? take_out(t, word) : -1;

	if (fd < 0)
		return -EBADMSG;
	if (how == TZ_TAKE_FOR_CALL)
		t->fds[t->nfds++] = fd;
	memcpy(spot, &fd, sizeof fd);
	return 0;
}

static int take_connection(struct tz_taker *t, const uint64_t *words, void *spot)
{
	struct tz_connection_terms terms;
	tz_connection *c;
	int fd = t->nconnections < TZ_GIVER_MAX ? take_out(t, words[0]) : -1, r;

	if (fd < 0)
		return -EBADMSG;
	memcpy(&terms, words + 1, sizeof terms);
	r = tz_connection_arrive(&c, fd, &terms, t->how == TZ_TAKE_FOR_CALL);
	if (r < 0) {
		(void)close(fd);
		return r == -EPROTO ? -EBADMSG : r;
	}
	if (t->how == TZ_TAKE_FOR_CALL)
		t->connections[t->nconnections++] = c;
	memcpy(spot, &c, sizeof c);
	return 0;
}

static int take_handle(const struct tz_carrier *carrier, enum tz_spot_kind kind, const uint64_t *words, void *spot)
{
	switch (kind) {
	case TZ_SPOT_POINTER:
		return take_pointer(taker_of(carrier), taker_of(carrier)->how, words[0], spot);
	case TZ_SPOT_FD:
		return take_fd(taker_of(carrier), taker_of(carrier)->how, words[0], spot);
	case TZ_SPOT_CONNECTION:
		return take_connection(taker_of(carrier), words, spot);
	default:
		return -EBADMSG;
	}
}

static int take_owned(const struct tz_carrier *carrier, enum tz_spot_kind kind, const uint64_t *words, void *spot)
{
	if (kind == TZ_SPOT_FD)
		return take_fd(taker_of(carrier), TZ_TAKE_RESULT, words[0], spot);
	return kind == TZ_SPOT_POINTER ? take_pointer(taker_of(carrier), TZ_TAKE_RESULT, words[0], spot) : -EBADMSG;
}

void tz_taker_init(struct tz_taker *ret, struct tz_segment *const *refs, unsigned nrefs, enum tz_take how)
{
	ret->carrier = (struct tz_carrier){ .take = take, .take_handle = take_handle, .take_owned = take_owned };
	ret->refs = refs;
	ret->nrefs = nrefs;
	ret->how = how;
	ret->nfds = ret->nconnections = 0;
}

void tz_taker_done(struct tz_taker *taker)
{
	for (unsigned i = 0; i < taker->nfds; i++)
		(void)close(taker->fds[i]);
	for (unsigned i = 0; i < taker->nconnections; i++)
		tz_connection_task_over(taker->connections[i]);
	taker->nfds = taker->nconnections = 0;
}

/* --- births --------------------------------------------------------------------------------------------------------------- */

void tz_refs_note(const struct tz_giver *giver, struct tz_ref *ret_refs)
{
	for (unsigned i = 0; i < giver->n; i++)
		ret_refs[i] = (struct tz_ref){ .kind = giver->refs[i]->kind, .size = giver->refs[i]->size };
}

int tz_refs_adopt(const struct tz_ref *refs, unsigned n, const int *fds, struct tz_segment **ret)
{
	static const struct tz_segment_form form = { .trusted = true };
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++) {
		enum tz_segment_kind kind = (enum tz_segment_kind)refs[i].kind;

		r = kind == TZ_SEGMENT_SHARED ? tz_segment_adopt_shared(fds[i], refs[i].size, &form, &ret[i]) :
						tz_segment_adopt(kind, fds[i], refs[i].size, true, &ret[i]);
	}
	return r;
}
