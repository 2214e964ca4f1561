/* Values as MessagePack, by the templates of msgpack-c, which are headers: nothing of it is linked.
 *
 * Design notes. Reading is msgpack-c's parser with our own callbacks, so that no tree of its objects is made first. It keeps what it is in the middle of on a stack
 * of TZ_VALUE_DEPTH places; what is on it when reading fails is freed from there. Bytes that announce many elements get no memory for
 * them: a list grows as its elements come, and no more may be announced than there are bytes left.
 *
 * A handle is an extension type with the carrier's word for it (wire/codec.h), 8 bytes. Without a carrier it is an extension type like any other: refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/value.h>

#include "wire/codec.h"
#include "wire/value.h"

/* The extension types. */
enum { EXT_POINTER = 1, EXT_FD = 2, WORD = sizeof(uint64_t) };

/* The templates were not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct packer {
	unsigned char *bytes; /* NULL: nothing yet, or, if it cannot grow, what is written is only counted */
	size_t size, room;
	bool fixed; /* it cannot grow */
	const struct tz_carrier *carrier; /* of handles, or NULL */
};

static int grow(struct packer *p, size_t size)
{
	size_t room = p->size + size > 2 * p->room ? p->size + size : 2 * p->room;
	unsigned char *more = realloc(p->bytes, room < 64 ? 64 : room);

	if (!more)
		return -ENOMEM;
	p->bytes = more;
	p->room = room < 64 ? 64 : room;
	return 0;
}

static int put(struct packer *p, const void *bytes, size_t size)
{
	if (size > p->room - p->size) {
		int r = p->fixed ? -EMSGSIZE : grow(p, size);

		if (r < 0)
			return r;
	}
	if (size && p->bytes)
		memcpy(p->bytes + p->size, bytes, size);
	p->size += size;
	return 0;
}

#include <msgpack/pack_define.h>
#include <msgpack/timestamp.h>

#define msgpack_pack_inline_func(name) static inline int pack##name
#define msgpack_pack_inline_func_cint(name) static inline int pack##name
#define msgpack_pack_inline_func_fixint(name) static inline int pack_fix##name
#define msgpack_pack_user struct packer *
#define msgpack_pack_append_buffer(user, bytes, size) return put(user, bytes, size)
#include <msgpack/pack_template.h>

static int pack_value(struct packer *p, const tz_value *v);

static int pack_text_of(struct packer *p, const tz_value *v)
{
	size_t size = tz_value_size(v);

	if (size > UINT32_MAX)
		return -EMSGSIZE;
	int r = tz_value_kind_of(v) == TZ_VALUE_STRING ? pack_str(p, size) : pack_bin(p, size);

	return r < 0 ? r : put(p, tz_value_text(v), size);
}

static int pack_items(struct packer *p, const tz_value *v)
{
	size_t n = tz_value_size(v);

	if (n > UINT32_MAX)
		return -EMSGSIZE;
	int r = tz_value_kind_of(v) == TZ_VALUE_LIST ? pack_array(p, n) : pack_map(p, n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (tz_value_key_at(v, i))
			r = pack_value(p, tz_value_key_at(v, i));
		if (r == 0)
			r = pack_value(p, tz_value_at(v, i));
	}
	return r;
}

static int pack_number(struct packer *p, const tz_value *v)
{
	return v->tz__big ? pack_uint64(p, v->tz__is.tz__uint) : pack_int64(p, v->tz__is.tz__int);
}

/* The carrier's word for it; where bytes are only counted it is not asked, and whether there is one does not matter. */
static int word_for(const struct packer *p, const tz_value *v, uint64_t *ret_word)
{
	enum tz_spot_kind kind = tz_value_kind_of(v) == TZ_VALUE_FD ? TZ_SPOT_FD : TZ_SPOT_POINTER;
	void *pointer = tz_value_pointer(v);
	int fd = tz_value_fd(v), r;
	uint64_t words[TZ_HANDLE_WORDS] = { 0 };

	if (!p->bytes && p->fixed)
		return 0;
	if (!p->carrier || !p->carrier->give_handle)
		return -ENOTSUP;
	r = p->carrier->give_handle(p->carrier, kind, kind == TZ_SPOT_FD ? (const void *)&fd : &pointer, words);
	*ret_word = words[0];
	return r;
}

static int pack_handle(struct packer *p, const tz_value *v)
{
	uint64_t word = 0;
	int r = word_for(p, v, &word);

	if (r == 0)
		r = pack_ext(p, WORD, tz_value_kind_of(v) == TZ_VALUE_FD ? EXT_FD : EXT_POINTER);
	return r < 0 ? r : put(p, &word, WORD);
}

static int pack_value(struct packer *p, const tz_value *v)
{
	switch (tz_value_kind_of(v)) {
	case TZ_VALUE_NONE:
		return pack_nil(p);
	case TZ_VALUE_BOOL:
		return v->tz__is.tz__int ? pack_true(p) : pack_false(p);
	case TZ_VALUE_INT:
		return pack_number(p, v);
	case TZ_VALUE_DOUBLE:
		return pack_double(p, v->tz__is.tz__double);
	case TZ_VALUE_STRING:
	case TZ_VALUE_BYTES:
		return pack_text_of(p, v);
	case TZ_VALUE_LIST:
	case TZ_VALUE_DICT:
		return pack_items(p, v);
	case TZ_VALUE_POINTER:
	case TZ_VALUE_FD:
		return pack_handle(p, v);
	case TZ_VALUE_FAILED:
		break;
	}
	return tz_value_error(v);
}

int tz_value_pack_with(const tz_value *v, void **ret_bytes, size_t *ret_size, const struct tz_carrier *carrier)
{
	struct packer p = { .carrier = carrier };
	int r = pack_value(&p, v);

	if (r < 0) {
		free(p.bytes);
		return r;
	}
	*ret_bytes = p.bytes;
	*ret_size = p.size;
	return 0;
}

int tz_value_pack(const tz_value *v, void **ret_bytes, size_t *ret_size)
{
	return tz_value_pack_with(v, ret_bytes, ret_size, NULL);
}

ptrdiff_t tz_value_pack_to(const tz_value *v, void *to, size_t size, const struct tz_carrier *carrier)
{
	struct packer p = { .bytes = to, .room = to ? size : PTRDIFF_MAX, .fixed = true, .carrier = carrier };
	int r = pack_value(&p, v);

	return r < 0 ? r : (ptrdiff_t)p.size;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

struct reader {
	size_t left; /* bytes that nothing was announced for yet: an element takes one at least */
	size_t elements; /* that may still come */
	int error; /* why a callback refused, or 0 */
	const struct tz_carrier *carrier; /* of handles, or NULL */
	bool pair_gone; /* it refused a pair: the key on top of the stack is freed */
};

#define MSGPACK_EMBED_STACK_SIZE 64
_Static_assert(MSGPACK_EMBED_STACK_SIZE == (int)TZ_VALUE_DEPTH, "the parser's stack has room for what may be nested");
#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>

static int refuse(struct reader *r, int error)
{
	r->error = error;
	return -1;
}

/* One more element has been read. */
static int take(struct reader *r, tz_value v, tz_value *ret)
{
	int error = tz_value_error(&v);

	if (error == 0 && r->elements == 0)
		error = -EMSGSIZE;
	if (error < 0) {
		tz_value_free(v);
		return refuse(r, error);
	}
	r->elements--;
	*ret = v;
	return 0;
}

/* A container of n elements begins; as long as it has none, it holds nothing. */
static int enter(struct reader *r, tz_value empty, uint64_t n, tz_value *ret)
{
	if (n > r->left)
		return refuse(r, -EPROTO);
	if (n > r->elements)
		return refuse(r, -EMSGSIZE);
	r->left -= n;
	return take(r, empty, ret);
}

#define NUMBER(name, type, make) \
	static inline int read_##name(struct reader *r, type x, tz_value *ret) \
	{ \
		return take(r, make(x), ret); \
	}
NUMBER(uint8, uint8_t, tz_uint)
NUMBER(uint16, uint16_t, tz_uint)
NUMBER(uint32, uint32_t, tz_uint)
NUMBER(uint64, uint64_t, tz_uint)
NUMBER(int8, int8_t, tz_int)
NUMBER(int16, int16_t, tz_int)
NUMBER(int32, int32_t, tz_int)
NUMBER(int64, int64_t, tz_int)
NUMBER(float, float, tz_double)
NUMBER(double, double, tz_double)
#undef NUMBER

static inline int read_nil(struct reader *r, tz_value *ret)
{
	return take(r, tz_none, ret);
}

static inline int read_true(struct reader *r, tz_value *ret)
{
	return take(r, tz_true, ret);
}

static inline int read_false(struct reader *r, tz_value *ret)
{
	return take(r, tz_false, ret);
}

static inline int read_str(struct reader *r, const char *base, const char *bytes, unsigned size, tz_value *ret)
{
	(void)base;
	return take(r, tz_string_of(bytes, size), ret);
}

static inline int read_bin(struct reader *r, const char *base, const char *bytes, unsigned size, tz_value *ret)
{
	(void)base;
	return take(r, tz_binary(bytes, size), ret);
}

/* The first byte is the type. */
static inline int read_ext(struct reader *r, const char *base, const char *bytes, unsigned size, tz_value *ret)
{
	uint64_t words[TZ_HANDLE_WORDS] = { 0 };
	void *pointer;
	int fd, error;

	(void)base;
	if (size != 1 + WORD || (bytes[0] != EXT_POINTER && bytes[0] != EXT_FD) || !r->carrier || !r->carrier->take_owned)
		return refuse(r, -EPROTO);
	memcpy(words, bytes + 1, WORD);
	error = bytes[0] == EXT_FD ? r->carrier->take_owned(r->carrier, TZ_SPOT_FD, words, &fd) :
				     r->carrier->take_owned(r->carrier, TZ_SPOT_POINTER, words, &pointer);
	if (error < 0)
		return refuse(r, error == -EBADMSG ? -EPROTO : error);
	return take(r, bytes[0] == EXT_FD ? tz_value_own_fd(fd) : tz_value_own_pointer(pointer), ret);
}

static inline int read_array(struct reader *r, unsigned n, tz_value *ret)
{
	return enter(r, tz_empty_list, n, ret);
}

static inline int read_array_item(struct reader *r, tz_value *list, tz_value item)
{
	int error = tz_value_append(list, item);

	return error < 0 ? refuse(r, error) : 0;
}

static inline int read_map(struct reader *r, unsigned n, tz_value *ret)
{
	return enter(r, tz_empty_dict, 2 * (uint64_t)n, ret);
}

static inline int read_map_item(struct reader *r, tz_value *dict, tz_value key, tz_value value)
{
	int error = tz_value_add_pair(dict, key, value);

	r->pair_gone = error < 0;
	return error < 0 ? refuse(r, error == -EINVAL ? -EPROTO : error) : 0;
}

static inline tz_value read_root(struct reader *r)
{
	(void)r;
	return tz_none;
}

#define msgpack_unpack_struct(name) struct parser##name
#define msgpack_unpack_func(ret, name) static inline ret parse##name
#define msgpack_unpack_callback(name) read##name
#define msgpack_unpack_object tz_value
#define msgpack_unpack_user struct reader
#include <msgpack/unpack_template.h>

#pragma GCC diagnostic pop

/* Frees what the parser is in the middle of. */
static void abandon(struct parser_context *p)
{
	for (unsigned i = 0; i < p->top; i++) {
		tz_value_free(p->stack[i].obj);
		if (p->stack[i].ct == MSGPACK_CT_MAP_VALUE && !(p->user.pair_gone && i == p->top - 1))
			tz_value_free(p->stack[i].map_key);
	}
}

/* Sorts all dictionaries in v. */
static int settle(tz_value *v)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < tz_value_size(v) && tz_value_at(v, i); i++)
		r = settle((tz_value *)tz_value_at(v, i));
	if (r == 0 && tz_value_kind_of(v) == TZ_VALUE_DICT)
		r = tz_value_sort(v) < 0 ? -EPROTO : 0;
	return r;
}

/* Reads what is there, whole. */
static int parse(struct parser_context *p, const void *bytes, size_t size, tz_value *ret)
{
	size_t at = 0;
	int r;

	parse_init(p);
	r = parse_execute(p, bytes, size, &at);
	if (r <= 0) {
		abandon(p);
		return p->user.error ? p->user.error : r == MSGPACK_UNPACK_NOMEM_ERROR ? -EMSGSIZE : -EPROTO; /* its stack is full */
	}
	*ret = parse_data(p);
	return at == size ? settle(ret) : -EPROTO;
}

int tz_value_unpack(const void *bytes, size_t size, const tz_value_limits *limits, tz_value *ret)
{
	return tz_value_unpack_with(bytes, size, limits, ret, NULL);
}

int tz_value_unpack_with(const void *bytes, size_t size, const tz_value_limits *limits, tz_value *ret, const struct tz_carrier *carrier)
{
	uint32_t depth = limits && limits->depth ? limits->depth : TZ_VALUE_DEPTH;
	size_t elements = limits && limits->elements ? limits->elements : (size_t)1 << 20;
	struct parser_context p = { .user = { .left = size, .elements = elements, .carrier = carrier } };
	tz_value v = { 0 };
	int r = parse(&p, bytes, size, &v);

	if (r == 0 && tz_value_depth(&v) > depth)
		r = -EMSGSIZE;
	if (r < 0) {
		tz_value_free(v);
		return r;
	}
	*ret = v;
	return 0;
}
