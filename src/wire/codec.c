/* The codec: images with their pointers replaced, and contents behind them.
 *
 * Design notes. Arguments of one call, blocks and results are one thing here: columns, each of n images of one shape, at a place of their own in the bytes.
 *
 * There is one right encoding of a value: contents lie in the order of their spots, without gaps but for alignment. So a decoder knows where each content must
 * begin, and checks that it does: no two share bytes, and the time is linear in the size whatever the bytes are.
 *
 * Bytes of results may lie in memory that the process that sent them can still write. So each word of them is read once: the image is copied first, and
 * what is checked is the copy; a string is ended by a 0 of ours.
 */
#include "wire/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/buffer.h>
#include <trenza/connection.h>
#include <trenza/shared_memory.h>
#include <trenza/value.h>

#include "wire/intern.h"
#include "wire/value.h"

_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8, "an offset takes the place of a pointer");
_Static_assert(offsetof(tz_bytes, data) == 0 && offsetof(tz_bytes, size) == 8 && sizeof(tz_bytes) == 16, "as in the format");

#define CARRIED (UINT64_C(1) << 63) /* in the offset of tz_bytes */

enum { CONTENT_ALIGN = 8, COLUMN_ALIGN = 64 };

/* What lies at the offset then. */
struct carried {
	uint64_t key, offset;
};

/* The words of a handle for which one is too little. */
struct handle {
	uint64_t words[TZ_HANDLE_WORDS];
};

/* n images of one shape. */
struct column {
	const unsigned char *from; /* when encoding */
	size_t at; /* in the bytes */
	size_t n;
	const struct tz_shape *shape;
};

struct columns {
	struct column *column;
	int count;
	size_t size; /* of all images, up to where contents begin */
};

static size_t align_up(size_t size, size_t align)
{
	return (size + align - 1) & ~(align - 1);
}

/* Where contents begin, behind images of that size; at the end, if there are none. */
static size_t contents_at(size_t images, size_t size)
{
	size_t at = align_up(images, CONTENT_ALIGN);

	return at < size ? at : size;
}

/* Adds a column; false: too large. */
static bool add_column(struct columns *c, const void *from, size_t n, const struct tz_shape *shape, size_t align)
{
	size_t at = align_up(c->size, align), size;

	if (__builtin_mul_overflow(n, (size_t)shape->size, &size) || size > PTRDIFF_MAX - at - COLUMN_ALIGN)
		return false;
	c->column[c->count++] = (struct column){ from, at, n, shape };
	c->size = at + size;
	return true;
}

/* For one call there is one column, the arguments struct; for a block, one for each argument. */
static struct columns one(struct column *column, const void *from, const struct tz_shape *shape)
{
	*column = (struct column){ from, 0, 1, shape };
	return (struct columns){ column, 1, shape->size };
}

static bool block_columns(struct columns *c, struct column *column, const struct tz_plan *plan, const void *const *in, size_t lo, size_t n)
{
	*c = (struct columns){ .column = column };
	for (uint32_t k = 0; k < plan->task->nargs; k++) {
		const struct tz_shape *s = &plan->arg[k];

		if (!add_column(c, in ? (const unsigned char *)in[k] + lo * s->size : NULL, n, s, COLUMN_ALIGN))
			return false;
	}
	return true;
}

static bool result_columns(struct columns *c, struct column *column, const struct tz_plan *plan, const void *results, size_t n)
{
	*c = (struct columns){ .column = column };
	return add_column(c, results, n, &plan->result, 1);
}

static bool all_flat(const struct columns *c)
{
	for (int i = 0; i < c->count; i++)
		if (!c->column[i].shape->flat)
			return false;
	return true;
}

/* --- how much -------------------------------------------------------------------------------------------------------------- */

/* Of a value that cannot be written, encoding says so. */
static size_t value_size(const unsigned char *spot)
{
	tz_value v;
	ptrdiff_t packed;

	memcpy(&v, spot, sizeof v);
	packed = tz_value_pack_to(&v, NULL, 0, NULL);
	return sizeof(uint64_t) + (packed < 0 ? 0 : (size_t)packed);
}

static size_t content_size(const unsigned char *spot, uint32_t kind, const struct tz_carrier *carrier)
{
	const char *text;
	tz_bytes bytes;

	switch ((enum tz_spot_kind)kind) {
	case TZ_SPOT_STRING:
	case TZ_SPOT_CONST_STRING:
		memcpy(&text, spot, sizeof text);
		return text ? strlen(text) + 1 : 0;
	case TZ_SPOT_BYTES:
		memcpy(&bytes, spot, sizeof bytes);
		if (!bytes.data)
			return 0;
		if (carrier && carrier->give(carrier, bytes.data, bytes.size, NULL, NULL))
			return sizeof(struct carried);
		return bytes.size;
	case TZ_SPOT_VALUE:
		return value_size(spot);
	case TZ_SPOT_CONNECTION:
		memcpy(&text, spot, sizeof text);
		return text ? sizeof(struct handle) : 0;
	case TZ_SPOT_BOOL:
	case TZ_SPOT_POINTER:
	case TZ_SPOT_FD:
		break;
	}
	return 0;
}

static size_t size_of(const struct columns *c, const struct tz_carrier *carrier)
{
	if (all_flat(c))
		return c->size;
	size_t images = contents_at(c->size, SIZE_MAX), total = images;

	for (int i = 0; i < c->count; i++) {
		const struct tz_shape *s = c->column[i].shape;

		for (size_t j = 0; j < c->column[i].n && s->nspots; j++)
			for (uint32_t k = 0; k < s->nspots; k++) {
				size_t more = content_size(c->column[i].from + j * s->size + s->spots[k].offset, s->spots[k].kind, carrier);

				if (more > PTRDIFF_MAX - CONTENT_ALIGN - total)
					return SIZE_MAX;
				total += align_up(more, CONTENT_ALIGN);
			}
	}
	return total > images ? total : c->size;
}

/* --- encoding -------------------------------------------------------------------------------------------------------------- */

struct writer {
	unsigned char *to;
	size_t size, used; /* used: up to where the contents are written */
	const struct tz_carrier *carrier;
};

/* Room for a content, or NULL. Writes to *ret_word where it is. */
static unsigned char *room_for(struct writer *w, size_t size, uint64_t *ret_word)
{
	unsigned char *room = w->to + w->used;

	if (size > w->size - w->used || align_up(size, CONTENT_ALIGN) > w->size - w->used)
		return NULL;
	*ret_word = w->used;
	w->used += align_up(size, CONTENT_ALIGN);
	if (size % CONTENT_ALIGN)
		memset(room + size, 0, CONTENT_ALIGN - size % CONTENT_ALIGN);
	return room;
}

static bool write_content(struct writer *w, const void *data, size_t size, uint64_t *ret_word)
{
	unsigned char *room = room_for(w, size, ret_word);

	if (room)
		memcpy(room, data, size);
	return room != NULL;
}

static int write_string(struct writer *w, const unsigned char *from, unsigned char *spot)
{
	const char *text;
	uint64_t word = 0;

	memcpy(&text, from, sizeof text);
	if (text) {
		size_t length = strlen(text);
		unsigned char *room = room_for(w, length + 1, &word);

		if (!room)
			return -EMSGSIZE;
		memcpy(room, text, length);
		room[length] = 0;
	}
	memcpy(spot, &word, sizeof word);
	return 0;
}

static int write_bytes(struct writer *w, const unsigned char *from, unsigned char *spot)
{
	tz_bytes bytes;
	struct carried beside;
	uint64_t word = 0;

	memcpy(&bytes, from, sizeof bytes);
	if (!bytes.data) {
		bytes.size = 0;
	} else if (w->carrier && w->carrier->give(w->carrier, bytes.data, bytes.size, &beside.key, &beside.offset)) {
		if (!write_content(w, &beside, sizeof beside, &word))
			return -EMSGSIZE;
		word |= CARRIED;
	} else if (!write_content(w, bytes.data, bytes.size, &word)) {
		return -EMSGSIZE;
	}
	memcpy(spot, &word, sizeof word);
	memcpy(spot + offsetof(tz_bytes, size), &bytes.size, sizeof bytes.size);
	return 0;
}

/* Packed where it is to lie: how long it is shows then. */
static int write_value(struct writer *w, const unsigned char *from, unsigned char *spot)
{
	tz_value v;
	uint64_t words[2] = { 0 }, packed;
	size_t left = w->size - w->used;
	unsigned char *room = w->to + w->used;
	ptrdiff_t size;

	memcpy(&v, from, sizeof v);
	if (left < sizeof packed)
		return -EMSGSIZE;
	size = tz_value_pack_to(&v, room + sizeof packed, left - sizeof packed, w->carrier);
	if (size < 0)
		return (int)size;
	packed = (uint64_t)size;
	memcpy(room, &packed, sizeof packed);
	if (!room_for(w, sizeof packed + packed, &words[0]))
		return -EMSGSIZE;
	memcpy(spot, words, sizeof words);
	return 0;
}

static int give_handle(const struct tz_carrier *carrier, uint32_t kind, const unsigned char *from, struct handle *ret)
{
	*ret = (struct handle){ { 0 } };
	return carrier && carrier->give_handle ? carrier->give_handle(carrier, (enum tz_spot_kind)kind, from, ret->words) : -ENOTSUP;
}

static int write_handle(struct writer *w, const unsigned char *from, unsigned char *spot, uint32_t kind)
{
	struct handle h;
	int r = give_handle(w->carrier, kind, from, &h);
	uint64_t word = h.words[0];
	uint32_t half = (uint32_t)word;

	if (r < 0)
		return r;
	if (kind == TZ_SPOT_CONNECTION && word && !write_content(w, &h, sizeof h, &word))
		return -EMSGSIZE;
	if (kind == TZ_SPOT_FD)
		memcpy(spot, &half, sizeof half);
	else
		memcpy(spot, &word, sizeof word);
	return 0;
}

/* Copies the parts of an image that travel; the rest is zero. */
static void copy_image(unsigned char *to, const unsigned char *from, const struct tz_shape *s)
{
	if (s->nstretches)
		memset(to, 0, s->size);
	for (uint32_t k = 0; k < s->nstretches; k++)
		memcpy(to + s->stretches[k].offset, from + s->stretches[k].offset, s->stretches[k].size);
}

static void copy_images(unsigned char *to, const unsigned char *from, size_t n, const struct tz_shape *s)
{
	if (n == 0 || s->size == 0)
		return;
	if (s->nstretches == 0)
		memcpy(to, from, n * s->size);
	else
		for (size_t j = 0; j < n; j++)
			copy_image(to + j * s->size, from + j * s->size, s);
}

static int write_spot(struct writer *w, const unsigned char *from, unsigned char *spot, uint32_t kind)
{
	switch ((enum tz_spot_kind)kind) {
	case TZ_SPOT_STRING:
	case TZ_SPOT_CONST_STRING:
		return write_string(w, from, spot);
	case TZ_SPOT_BYTES:
		return write_bytes(w, from, spot);
	case TZ_SPOT_VALUE:
		return write_value(w, from, spot);
	case TZ_SPOT_POINTER:
	case TZ_SPOT_FD:
	case TZ_SPOT_CONNECTION:
		return write_handle(w, from, spot, kind);
	case TZ_SPOT_BOOL:
		break;
	}
	return 0;
}

static int write_column(struct writer *w, const struct column *c)
{
	const struct tz_shape *s = c->shape;

	copy_images(w->to + c->at, c->from, c->n, s);
	for (size_t j = 0; j < c->n && s->nspots; j++)
		for (uint32_t k = 0; k < s->nspots; k++) {
			const unsigned char *from = c->from + j * s->size + s->spots[k].offset;
			unsigned char *spot = w->to + c->at + j * s->size + s->spots[k].offset;
			int r = write_spot(w, from, spot, s->spots[k].kind);

			if (r < 0)
				return r;
		}
	return 0;
}

static int encode(const struct columns *c, void *to, size_t size, const struct tz_carrier *carrier)
{
	struct writer w = { to, size, contents_at(c->size, size), carrier };
	size_t end = 0;
	int r;

	if (size < c->size)
		return -EMSGSIZE;
	if (size == 0)
		return 0;
	for (int i = 0; i < c->count; i++) {
		memset(w.to + end, 0, c->column[i].at - end);
		end = c->column[i].at + c->column[i].n * c->column[i].shape->size;
		r = write_column(&w, &c->column[i]);
		if (r < 0)
			return r;
	}
	memset(w.to + end, 0, contents_at(end, size) - end);
	memset(w.to + w.used, 0, size - w.used); /* a string became shorter meanwhile */
	return 0;
}

static bool is_handle(uint32_t kind)
{
	return kind == TZ_SPOT_POINTER || kind == TZ_SPOT_FD || kind == TZ_SPOT_CONNECTION;
}

/* The offset, in the image, of the first handle of a column that does not travel; or -1. */
static int64_t find_culprit(const struct column *c, const struct tz_carrier *carrier)
{
	const struct tz_shape *s = c->shape;
	struct handle h;

	for (size_t j = 0; j < c->n && s->nspots; j++)
		for (uint32_t k = 0; k < s->nspots; k++)
			if (is_handle(s->spots[k].kind) &&
			    give_handle(carrier, s->spots[k].kind, c->from + j * s->size + s->spots[k].offset, &h) == -ENOTSUP)
				return s->spots[k].offset;
	return -1;
}

/* --- decoding -------------------------------------------------------------------------------------------------------------- */

struct reader {
	const unsigned char *bytes;
	size_t size, at; /* at: where the next content must be */
	const struct tz_carrier *carrier;
};

/* The next content, if a spot's word says that it is there and it can be so long; moves on. */
static const unsigned char *next_content(struct reader *r, uint64_t word, size_t size)
{
	const unsigned char *content = r->bytes + r->at;

	if (word != r->at || word % CONTENT_ALIGN != 0 || size > r->size - r->at) /* after one that lacks it, there is not even an empty one */
		return NULL;
	/* The last content may lack what would align a next one. */
	r->at = r->size - r->at - size < CONTENT_ALIGN ? r->size : r->at + align_up(size, CONTENT_ALIGN);
	return content;
}

/* The next string, and how long it is. It is to be ended again, where others can write. */
static const unsigned char *next_string(struct reader *r, uint64_t word, size_t *ret_length)
{
	const unsigned char *text = r->bytes + r->at, *end = r->at < r->size ? memchr(text, 0, r->size - r->at) : NULL;

	if (!end)
		return NULL;
	*ret_length = (size_t)(end - text);
	return next_content(r, word, *ret_length + 1);
}

/* What tz_bytes of that size refer to: copied, or carried. */
static const void *next_bytes(struct reader *r, uint64_t word, size_t size, bool *ret_carried)
{
	struct carried beside;
	const unsigned char *content;

	*ret_carried = (word & CARRIED) != 0;
	if (!*ret_carried)
		return next_content(r, word, size);
	content = next_content(r, word & ~CARRIED, sizeof beside);
	if (!content || !r->carrier)
		return NULL;
	memcpy(&beside, content, sizeof beside);
	return r->carrier->take(r->carrier, beside.key, beside.offset, size);
}

/* Reads the next value, from a copy if the bytes may change meanwhile. Until it is read, the spot holds none. */
static int read_value(struct reader *r, unsigned char *spot, bool copy_first)
{
	uint64_t word, packed;
	const unsigned char *content;
	tz_value v = tz_none;
	void *copy = NULL;
	int error;

	memcpy(&word, spot, sizeof word);
	memset(spot, 0, sizeof v);
	if (r->size - r->at < sizeof packed)
		return -EBADMSG;
	memcpy(&packed, r->bytes + r->at, sizeof packed);
	content = packed < PTRDIFF_MAX ? next_content(r, word, sizeof packed + packed) : NULL;
	if (!content)
		return -EBADMSG;
	content += sizeof packed;
	if (copy_first) {
		copy = malloc(packed ? packed : 1);
		if (!copy)
			return -ENOMEM;
		content = memcpy(copy, content, packed);
	}
	error = tz_value_unpack_with(content, packed, &(tz_value_limits){ .elements = SIZE_MAX }, &v, r->carrier);
	free(copy);
	memcpy(spot, &v, sizeof v);
	return error == 0 || error == -ENOMEM ? error : -EBADMSG;
}

/* Puts the handle in, in place. */
static int read_handle(struct reader *r, unsigned char *spot, uint32_t kind)
{
	struct handle h = { { 0 } };
	uint64_t word = 0;
	uint32_t half;

	if (kind == TZ_SPOT_FD) {
		memcpy(&half, spot, sizeof half);
		word = half;
	} else {
		memcpy(&word, spot, sizeof word);
	}
	if (word == 0) {
		if (kind == TZ_SPOT_FD)
			memset(spot, 0xff, sizeof half); /* -1 */
		return 0;
	}
	h.words[0] = word;
	if (kind == TZ_SPOT_CONNECTION) {
		const unsigned char *content = next_content(r, word, sizeof h);

		if (!content)
			return -EBADMSG;
		memcpy(&h, content, sizeof h);
	}
	if (!r->carrier || !r->carrier->take_handle)
		return -EBADMSG;
	return r->carrier->take_handle(r->carrier, (enum tz_spot_kind)kind, h.words, spot);
}

/* Puts the pointer in, in place. */
static int read_in_place(struct reader *r, unsigned char *spot, uint32_t kind)
{
	uint64_t word;
	size_t size;
	bool carried;
	const void *data;

	if (kind == TZ_SPOT_BOOL) {
		*spot = *spot != 0;
		return 0;
	}
	if (is_handle(kind))
		return read_handle(r, spot, kind);
	if (kind == TZ_SPOT_VALUE)
		return read_value(r, spot, false);
	memcpy(&word, spot, sizeof word);
	if (word == 0) {
		if (kind == TZ_SPOT_BYTES)
			memset(spot, 0, sizeof(tz_bytes));
		return 0;
	}
	if (kind == TZ_SPOT_BYTES) {
		memcpy(&size, spot + offsetof(tz_bytes, size), sizeof size);
		data = next_bytes(r, word, size, &carried);
	} else {
		data = next_string(r, word, &size);
	}
	memcpy(spot, &data, sizeof data);
	return data ? 0 : -EBADMSG;
}

/* Zeroes what does not travel. */
static void clear_gaps(unsigned char *image, const struct tz_shape *s)
{
	size_t at = 0;

	for (uint32_t k = 0; k < s->nstretches; k++) {
		memset(image + at, 0, s->stretches[k].offset - at);
		at = s->stretches[k].offset + s->stretches[k].size;
	}
	if (s->nstretches)
		memset(image + at, 0, s->size - at);
}

/* Frees the values among the first `spots` spots of n images. */
static void free_values(const struct tz_shape *s, const unsigned char *images, size_t n, size_t spots)
{
	tz_value v;

	for (size_t j = 0; j < n && s->nspots; j++)
		for (uint32_t k = 0; k < s->nspots && spots; k++, spots--)
			if (s->spots[k].kind == TZ_SPOT_VALUE) {
				memcpy(&v, images + j * s->size + s->spots[k].offset, sizeof v);
				tz_value_free(v);
			}
}

/* Reads the images of a column; on failure, what it has read is freed. */
static int decode_column(struct reader *r, const struct column *c, unsigned char *images)
{
	const struct tz_shape *s = c->shape;
	size_t spots = 0;

	for (size_t j = 0; j < c->n && !s->flat; j++) {
		clear_gaps(images + j * s->size, s);
		for (uint32_t k = 0; k < s->nspots; k++, spots++) {
			int error = read_in_place(r, images + j * s->size + s->spots[k].offset, s->spots[k].kind);

			if (error < 0) {
				free_values(s, images, c->n, spots);
				return error;
			}
		}
	}
	return 0;
}

static int decode_in_place(const struct columns *c, void *bytes, size_t size, const struct tz_carrier *carrier)
{
	struct reader r = { bytes, size, contents_at(c->size, size), carrier };

	if (size < c->size)
		return -EBADMSG;
	if (all_flat(c))
		return 0;
	for (int i = 0; i < c->count; i++) {
		int error = decode_column(&r, &c->column[i], (unsigned char *)bytes + c->column[i].at);

		if (error < 0) {
			while (--i >= 0)
				free_values(c->column[i].shape, (unsigned char *)bytes + c->column[i].at, c->column[i].n, SIZE_MAX);
			return error;
		}
	}
	return 0;
}

/* What a spot of a result owns. */
static void free_spot(const unsigned char *spot, uint32_t kind)
{
	void *owned = NULL;
	tz_value v;
	int fd;

	if (kind == TZ_SPOT_FD) {
		memcpy(&fd, spot, sizeof fd);
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	if (kind == TZ_SPOT_VALUE) {
		memcpy(&v, spot, sizeof v);
		tz_value_free(v);
		return;
	}
	if (kind != TZ_SPOT_BOOL)
		memcpy(&owned, spot, sizeof owned);
	if (kind == TZ_SPOT_STRING)
		free(owned);
	else if (kind == TZ_SPOT_BYTES)
		tz_buffer_free(owned);
	else if (kind == TZ_SPOT_POINTER)
		tz_shared_free(owned);
	else if (kind == TZ_SPOT_CONNECTION)
		tz_connection_close(owned);
}

/* Frees what the first `spots` spots of the results own. */
static void free_results(const struct tz_shape *s, const unsigned char *results, size_t n, size_t spots)
{
	for (size_t j = 0; j < n && s->nspots; j++)
		for (uint32_t k = 0; k < s->nspots && spots; k++, spots--)
			free_spot(results + j * s->size + s->spots[k].offset, s->spots[k].kind);
}

static int read_string(struct reader *r, unsigned char *spot, uint32_t kind)
{
	uint64_t word;
	size_t length;
	const char *text;

	memcpy(&word, spot, sizeof word);
	if (word == 0)
		return 0;
	const unsigned char *content = next_string(r, word, &length);

	if (!content)
		return -EBADMSG;
	if (kind == TZ_SPOT_CONST_STRING) {
		text = tz_intern((const char *)content, length);
	} else {
		char *copy = malloc(length + 1);

		if (copy) {
			memcpy(copy, content, length);
			copy[length] = 0;
		}
		text = copy;
	}
	memcpy(spot, &text, sizeof text);
	return text ? 0 : -ENOMEM;
}

static int read_bytes(struct reader *r, unsigned char *spot)
{
	uint64_t word;
	tz_bytes bytes;
	bool carried;

	memcpy(&word, spot, sizeof word);
	if (word == 0) {
		memset(spot, 0, sizeof bytes);
		return 0;
	}
	memcpy(&bytes.size, spot + offsetof(tz_bytes, size), sizeof bytes.size);
	bytes.data = next_bytes(r, word, bytes.size, &carried);
	if (!bytes.data)
		return -EBADMSG;
	if (!carried) {
		void *copy = tz_buffer_alloc(bytes.size ? bytes.size : 1);

		if (!copy)
			return -ENOMEM;
		memcpy(copy, bytes.data, bytes.size);
		bytes.data = copy;
	}
	memcpy(spot, &bytes, sizeof bytes);
	return 0;
}

static int read_result_spot(struct reader *r, unsigned char *spot, uint32_t kind)
{
	switch ((enum tz_spot_kind)kind) {
	case TZ_SPOT_STRING:
	case TZ_SPOT_CONST_STRING:
		return read_string(r, spot, kind);
	case TZ_SPOT_BYTES:
		return read_bytes(r, spot);
	case TZ_SPOT_VALUE:
		return read_value(r, spot, true);
	case TZ_SPOT_POINTER:
	case TZ_SPOT_FD:
	case TZ_SPOT_CONNECTION:
		return read_handle(r, spot, kind);
	case TZ_SPOT_BOOL:
		*spot = *spot != 0;
		break;
	}
	return 0;
}

static int decode_results(const struct tz_shape *s, const void *bytes, size_t size, size_t n, unsigned char *results,
			  const struct tz_carrier *carrier)
{
	size_t images, spots = 0;

	if (__builtin_mul_overflow(n, (size_t)s->size, &images) || images > size)
		return -EBADMSG;
	copy_images(results, bytes, n, s);
	if (s->nspots == 0)
		return 0;
	struct reader r = { bytes, size, contents_at(images, size), carrier };

	for (size_t j = 0; j < n; j++)
		for (uint32_t k = 0; k < s->nspots; k++, spots++) {
			int error = read_result_spot(&r, results + j * s->size + s->spots[k].offset, s->spots[k].kind);

			if (error < 0) {
				free_results(s, results, n, spots);
				return error;
			}
		}
	return 0;
}

/* --- one call -------------------------------------------------------------------------------------------------------------- */

/* What is flat is what most calls are. */
static int encode_flat(const void *from, size_t image, void *to, size_t size)
{
	if (size < image)
		return -EMSGSIZE;
	if (image)
		memcpy(to, from, image);
	return 0;
}

size_t tz_args_size(const struct tz_plan *plan, const void *args, const struct tz_carrier *carrier)
{
	struct column column;

	if (plan->args.flat)
		return plan->args.size;
	struct columns c = one(&column, args, &plan->args);

	return size_of(&c, carrier);
}

int tz_args_encode(const struct tz_plan *plan, const void *args, void *to, size_t size, const struct tz_carrier *carrier)
{
	struct column column;

	if (plan->args.flat)
		return encode_flat(args, plan->args.size, to, size);
	struct columns c = one(&column, args, &plan->args);

	return encode(&c, to, size, carrier);
}

int tz_args_culprit(const struct tz_plan *plan, const void *args, const struct tz_carrier *carrier)
{
	struct column column;
	struct columns c = one(&column, args, &plan->args);
	int64_t at = find_culprit(c.column, carrier);
	int number = 0;

	for (uint32_t k = 0; k < plan->task->nargs && at >= (int64_t)plan->task->arg_offset[k]; k++)
		number = (int)k + 1;
	return number;
}

int tz_args_decode(const struct tz_plan *plan, void *bytes, size_t size, const void **ret_args, const struct tz_carrier *carrier)
{
	struct column column;
	struct columns c = one(&column, NULL, &plan->args);
	int r = plan->args.flat ? (size < plan->args.size ? -EBADMSG : 0) : decode_in_place(&c, bytes, size, carrier);

	if (r == 0)
		*ret_args = bytes;
	return r;
}

void tz_args_free(const struct tz_plan *plan, const void *args)
{
	if (!plan->args.flat)
		free_values(&plan->args, args, 1, SIZE_MAX);
}

size_t tz_result_size(const struct tz_plan *plan, const void *result, const struct tz_carrier *carrier)
{
	return plan->result.flat ? plan->result.size : tz_results_size(plan, result, 1, carrier);
}

int tz_result_encode(const struct tz_plan *plan, const void *result, void *to, size_t size, const struct tz_carrier *carrier)
{
	if (plan->result.flat)
		return encode_flat(result, plan->result.size, to, size);
	return tz_results_encode(plan, result, 1, to, size, carrier);
}

void tz_result_free(const struct tz_plan *plan, const void *result)
{
	tz_results_free(plan, result, 1);
}

int tz_result_decode(const struct tz_plan *plan, const void *bytes, size_t size, void *ret_result, const struct tz_carrier *carrier)
{
	return decode_results(&plan->result, bytes, size, 1, ret_result, carrier);
}

/* --- n calls ---------------------------------------------------------------------------------------------------------------- */

size_t tz_block_size(const struct tz_plan *plan, const void *const *in, size_t lo, size_t hi, const struct tz_carrier *carrier)
{
	struct column column[TZ_ARGS_MAX];
	struct columns c;

	return block_columns(&c, column, plan, in, lo, hi - lo) ? size_of(&c, carrier) : SIZE_MAX;
}

int tz_block_encode(const struct tz_plan *plan, const void *const *in, size_t lo, size_t hi, void *to, size_t size,
		    const struct tz_carrier *carrier)
{
	struct column column[TZ_ARGS_MAX];
	struct columns c;

	return block_columns(&c, column, plan, in, lo, hi - lo) ? encode(&c, to, size, carrier) : -EMSGSIZE;
}

int tz_block_culprit(const struct tz_plan *plan, const void *const *in, size_t lo, size_t hi, const struct tz_carrier *carrier)
{
	struct column column[TZ_ARGS_MAX];
	struct columns c;

	if (!block_columns(&c, column, plan, in, lo, hi - lo))
		return 0;
	for (int i = 0; i < c.count; i++)
		if (find_culprit(&column[i], carrier) >= 0)
			return i + 1;
	return 0;
}

int tz_block_decode(const struct tz_plan *plan, void *bytes, size_t size, size_t n, const void **ret_in, const struct tz_carrier *carrier)
{
	struct column column[TZ_ARGS_MAX];
	struct columns c;
	int r = block_columns(&c, column, plan, NULL, 0, n) ? decode_in_place(&c, bytes, size, carrier) : -EBADMSG;

	for (int i = 0; i < c.count && r == 0; i++)
		ret_in[i] = (const unsigned char *)bytes + c.column[i].at;
	return r;
}

void tz_block_free(const struct tz_plan *plan, const void *const *in, size_t n)
{
	for (uint32_t k = 0; k < plan->task->nargs; k++)
		if (!plan->arg[k].flat)
			free_values(&plan->arg[k], in[k], n, SIZE_MAX);
}

size_t tz_results_size(const struct tz_plan *plan, const void *results, size_t n, const struct tz_carrier *carrier)
{
	struct column column;
	struct columns c;

	return result_columns(&c, &column, plan, results, n) ? size_of(&c, carrier) : SIZE_MAX;
}

int tz_results_encode(const struct tz_plan *plan, const void *results, size_t n, void *to, size_t size, const struct tz_carrier *carrier)
{
	struct column column;
	struct columns c;

	return result_columns(&c, &column, plan, results, n) ? encode(&c, to, size, carrier) : -EMSGSIZE;
}

void tz_results_free(const struct tz_plan *plan, const void *results, size_t n)
{
	if (plan->result.nspots)
		free_results(&plan->result, results, n, SIZE_MAX);
}

int tz_results_decode(const struct tz_plan *plan, const void *bytes, size_t size, size_t n, void *ret_results,
		      const struct tz_carrier *carrier)
{
	return decode_results(&plan->result, bytes, size, n, ret_results, carrier);
}
