/* What the reader and the printer of values need of them beyond value.h. */
#ifndef TZ_WIRE_VALUE_H
#define TZ_WIRE_VALUE_H

#include <trenza/value.h>

struct tz_carrier; /* wire/codec.h */

/* How deep it is nested: a number not at all. */
uint32_t tz_value_depth(const tz_value *v);

/* A failed value. */
tz_value tz_value_failed(int error);

/* Values of handles whose reference, or descriptor, becomes the value's; also if it is a failed one for lack of memory. */
tz_value tz_value_own_pointer(void *memory);
tz_value tz_value_own_fd(int fd);

/* Puts a pair at the end of a dictionary that is not sorted yet; no other function but tz_value_free and this one may see it before it is. Key
 * and value are the dictionary's, or freed on failure. -EINVAL: that cannot be a key; -ENOMEM. */
int tz_value_add_pair(tz_value *dict, tz_value key, tz_value value);

/* Sorts it: 0; -EEXIST: a key is there twice. */
int tz_value_sort(tz_value *dict);

/* As tz_value_pack, into memory that is there; NULL: it is only counted. How many bytes it takes, or the same errors, and -EMSGSIZE if
 * they are more than `size`. Handles go with the carrier; NULL: none does. */
ptrdiff_t tz_value_pack_to(const tz_value *v, void *to, size_t size, const struct tz_carrier *carrier);

/* tz_value_pack and tz_value_unpack with a carrier. Also what that says of a handle; reading, -EPROTO for its -EBADMSG. */
int tz_value_pack_with(const tz_value *v, void **ret_bytes, size_t *ret_size, const struct tz_carrier *carrier);
int tz_value_unpack_with(const void *bytes, size_t size, const tz_value_limits *limits, tz_value *ret, const struct tz_carrier *carrier);

#endif
