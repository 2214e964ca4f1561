/* The codec: arguments and results as bytes that mean the same in another address space.
 *
 * The format. First the image: the arguments struct, or the result, as it lies in memory. A pointer in it is replaced by the offset of its content from
 * the beginning of the bytes; 0 is NULL. Contents follow, each at a multiple of 8; a string with its 0. tz_bytes keeps its size in the image, and may have the
 * top bit of its offset set: then the content did not come along, and at the offset lies {key, offset} of it, for the carrier (below).
 * A tz_value's place holds the offset of its content: its size, in 8 bytes, and itself as MessagePack, where a handle is an extension type with the carrier's word.
 * A handle is for the carrier altogether: its place holds the word that the carrier gave for it, 0 for none; or, where one word is too little, the offset of a
 * content of TZ_HANDLE_WORDS of them.
 * For n calls at once, a *block*: the images of all first arguments, then of all second ones, each such column at a multiple of 64, then the contents; for n
 * results, the images in one column. That is how tz_task.range wants them. A block of one call is not the same as the bytes of one call.
 *
 * Decoding is in place: the decoded arguments lie, with all that they point to, in the bytes, which must begin at a multiple of plan->align (a block: of 64) and
 * must stay until the call is over. Bytes that are decoded may come from a process that has gone mad: everything is checked, and nothing is believed. What
 * a check cannot see is what a plain value means to the program.
 *
 * Nothing here keeps state; any thread may call any function. Plans are those that can travel (plan->error == 0). Where `carrier` is NULL, all
 * contents are copied, and handles do not travel.
 */
#ifndef TZ_WIRE_CODEC_H
#define TZ_WIRE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/plan.h"

enum { TZ_HANDLE_WORDS = 3 };

/* Who carries large contents, and handles, beside the bytes. */
struct tz_carrier {
	/* Whether [data, data + size) goes beside the bytes; then the receiver's `take` gets *ret_key and *ret_offset. Called twice for each tz_bytes: for
	 * the size, when both are NULL, and for encoding, when it is to happen; the two answers must be the same. */
	bool (*give)(const struct tz_carrier *carrier, const void *data, size_t size, uint64_t *ret_key, uint64_t *ret_offset);
	/* What was given, or NULL if that is nothing that was given, or smaller. For arguments: it stays valid as long as the bytes. For results: it is a
	 * tz_buffer, the caller's. */
	const void *(*take)(const struct tz_carrier *carrier, uint64_t key, uint64_t offset, size_t size);
	/* What stands for the handle at a spot; ret_words are zeros, and stay so for a handle that is none. Only the first word counts but for
	 * TZ_SPOT_CONNECTION, and only 32 bits of that for TZ_SPOT_FD. -ENOTSUP: it does not travel; or another error. May be NULL: none travels. */
	int (*give_handle)(const struct tz_carrier *carrier, enum tz_spot_kind kind, const void *spot, uint64_t *ret_words);
	/* Writes the handle to the spot, which may lie at any address. -EBADMSG: the words mean nothing; or another error. May be NULL. */
	int (*take_handle)(const struct tz_carrier *carrier, enum tz_spot_kind kind, const uint64_t *words, void *spot);
	/* The same, but what is written is the caller's own whatever it is taken for: a reference, a descriptor. For what is inside a value. May be NULL. */
	int (*take_owned)(const struct tz_carrier *carrier, enum tz_spot_kind kind, const uint64_t *words, void *spot);
};

/* --- one call -------------------------------------------------------------------------------------------------------- */

/* How many bytes the arguments take; SIZE_MAX: too many for any memory. */
size_t tz_args_size(const struct tz_plan *plan, const void *args, const struct tz_carrier *carrier);

/* Writes that many bytes. -EMSGSIZE: it is more now: somebody changes a string meanwhile. -ENOTSUP: it has a handle that does not travel (tz_args_culprit); or what the
 * carrier says of one. The arguments stay the caller's. */
int tz_args_encode(const struct tz_plan *plan, const void *args, void *to, size_t size, const struct tz_carrier *carrier);

/* The number of the argument, 1 being the first, that made it answer -ENOTSUP; 0: none does. */
int tz_args_culprit(const struct tz_plan *plan, const void *args, const struct tz_carrier *carrier);

/* Turns bytes into the arguments struct, in place. -EBADMSG: they are no arguments of that task; or what the carrier says of a handle. Then they are spoilt. */
int tz_args_decode(const struct tz_plan *plan, void *bytes, size_t size, const void **ret_args, const struct tz_carrier *carrier);

/* Frees what decoded arguments hold beyond the bytes: their values. After the call. */
void tz_args_free(const struct tz_plan *plan, const void *args);

/* The same for a result. */
size_t tz_result_size(const struct tz_plan *plan, const void *result, const struct tz_carrier *carrier);
int tz_result_encode(const struct tz_plan *plan, const void *result, void *to, size_t size, const struct tz_carrier *carrier);

/* Frees what a result owns: its `char *`, the data of its tz_bytes, its values, its handles. In the worker, after encoding; in the caller's process, for a result that
 * nobody will take. */
void tz_result_free(const struct tz_plan *plan, const void *result);

/* Reads a result of plan->result.size bytes, whose contents become the caller's: what tz_result_free frees. The bytes are not changed and are not
 * needed any more. -EBADMSG; -ENOMEM; then nothing is left allocated, and what is in *ret_result means nothing. */
int tz_result_decode(const struct tz_plan *plan, const void *bytes, size_t size, void *ret_result, const struct tz_carrier *carrier);

/* --- n calls ---------------------------------------------------------------------------------------------------------- */

/* Arguments of the calls number lo to hi - 1 of arrays: in[k] is the array of argument k, as for tz_task.range. */
size_t tz_block_size(const struct tz_plan *plan, const void *const *in, size_t lo, size_t hi, const struct tz_carrier *carrier);
int tz_block_encode(const struct tz_plan *plan, const void *const *in, size_t lo, size_t hi, void *to, size_t size,
		    const struct tz_carrier *carrier);

int tz_block_culprit(const struct tz_plan *plan, const void *const *in, size_t lo, size_t hi, const struct tz_carrier *carrier);

/* Turns bytes into n calls' arrays: ret_in has room for TZ_ARGS_MAX. */
int tz_block_decode(const struct tz_plan *plan, void *bytes, size_t size, size_t n, const void **ret_in, const struct tz_carrier *carrier);
void tz_block_free(const struct tz_plan *plan, const void *const *in, size_t n);

/* The results of n calls, an array; and back. As for one. */
size_t tz_results_size(const struct tz_plan *plan, const void *results, size_t n, const struct tz_carrier *carrier);
int tz_results_encode(const struct tz_plan *plan, const void *results, size_t n, void *to, size_t size, const struct tz_carrier *carrier);
void tz_results_free(const struct tz_plan *plan, const void *results, size_t n);
int tz_results_decode(const struct tz_plan *plan, const void *bytes, size_t size, size_t n, void *ret_results,
		      const struct tz_carrier *carrier);

#endif
