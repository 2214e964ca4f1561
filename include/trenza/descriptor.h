/* Descriptors: what is known about a task, and the untyped handle on a job of it.
 *
 * TZ_TASK (task.h) makes descriptors from prototypes; this header is what lies underneath, for other languages.
 *
 * The kinds of types
 *
 *   kind                  which types                          how it travels to another process
 *   TZ_KIND_VOID          void (result only)                   -
 *   TZ_KIND_BOOL          bool                                 by value
 *   TZ_KIND_INT           char, the signed integers, enums     by value
 *   TZ_KIND_UINT          the unsigned integers                by value
 *   TZ_KIND_FLOAT         float, double, long double           by value
 *   TZ_KIND_COMPLEX       complex numbers of C                 by value
 *   TZ_KIND_STRING        char *                               the content; a result is malloc'd by the task, and what arrives is the
 *                                                              caller's, to be freed
 *   TZ_KIND_CONST_STRING  const char *                         the content; a result arrives as a copy that is kept for ever, one for
 *                                                              equal strings
 *   TZ_KIND_BYTES         tz_bytes                             the content; a result is a tz_buffer made by the task, and what arrives
 *                                                              is the caller's, to be freed with tz_buffer_free
 *   TZ_KIND_POINTER       any other pointer                    if it points into shared memory (shared_memory.h), as the address at which the
 *                                                              receiver has that; NULL as NULL; else not: an error at submit that names
 *                                                              the task and the argument
 *   TZ_KIND_DYNAMIC       tz_value                             the content, and its handles (value.h); a result arrives as the caller's, to be freed with
 *                                                              tz_value_free
 *   TZ_KIND_FD            tz_fd                                as a descriptor of the receiver's (fd.h)
 *   TZ_KIND_CONNECTION    tz_connection *                      as a handle of the receiver's (connection.h)
 *   TZ_KIND_VALUE         structs, unions, vectors             by value if TZ_FLAT, field by field if TZ_STRUCT (types.h); else not
 *
 * Where the address space is shared, all of them are passed as they are: a pointer is the same pointer.
 */
#ifndef TRENZA_DESCRIPTOR_H
#define TRENZA_DESCRIPTOR_H

#include <trenza/base.h>

TZ_BEGIN_DECLS

/* A block of bytes, as argument or result. */
typedef struct tz_bytes {
	const void *data;
	size_t size;
} tz_bytes;

/* A descriptor, as argument or result: fd.h. */
typedef struct tz_fd {
	int fd; /* negative: none */
} tz_fd;

struct tz_connection; /* connection.h */

/* The kinds of types; see the table above. The numbers are part of the ABI. */
typedef enum tz_kind {
	TZ_KIND_VOID = 0,
	TZ_KIND_BOOL = 1,
	TZ_KIND_INT = 2,
	TZ_KIND_UINT = 3,
	TZ_KIND_FLOAT = 4,
	TZ_KIND_COMPLEX = 5,
	TZ_KIND_STRING = 6,
	TZ_KIND_CONST_STRING = 7,
	TZ_KIND_BYTES = 8,
	TZ_KIND_POINTER = 9,
	TZ_KIND_VALUE = 10,
	TZ_KIND_FD = 11,
	TZ_KIND_CONNECTION = 12,
	TZ_KIND_DYNAMIC = 13
} tz_kind;

/* One type of a task's prototype. */
typedef struct tz_type {
	tz_kind kind;
	uint32_t size; /* sizeof, 0 for void */
	const char *name; /* as written */
	const void *identity; /* in C++: an address that is the same for the same type; else NULL */
} tz_type;

/* One field of a described struct. */
typedef struct tz_field {
	const char *name;
	tz_type type; /* of an array: of its elements; the name is there for TZ_KIND_VALUE only */
	uint32_t offset;
	uint32_t count; /* how many elements; 1 if it is no array */
} tz_field;

/* What is said about a struct: made by TZ_FLAT and TZ_STRUCT. */
typedef struct tz_description {
	const struct tz_module *module;
	tz_type type;
	uint32_t nfields; /* 0: it is flat */
	const tz_field *fields;
} tz_description;

/* A source file's view of the module, that is program or shared library, which it is linked into. */
typedef struct tz_module {
	const struct tz_task *const *tasks, *const *tasks_end; /* the module's section tz_tasks: of all its source files */
	const tz_description *const *types, *const *types_end; /* its section tz_types */
} tz_module;

/* Where a running map is, for tz_fail: `at` is the index, as a pointer of a type that aliases no array of yours. */
struct tz_cursor {
	const struct tz_cursor *at;
};

enum { TZ_ARGS_MAX = 8 };

/* What tz__magic is. */
#define TZ__MAGIC UINT64_C(0x747a5f7461736b01)

/* What is known about a task. Made by TZ_TASK; another language may fill one by hand, all-zero but for `name`,
 * `run`, `args_size` and `result_size`; it does then for all executors that share the caller's memory. It must outlive every job of it. */
typedef struct tz_task {
	const char *name;
	/* Calls the function: reads its arguments from args and writes its result to result. The two may be the same memory:
	 * every argument is read before the result is written. */
	void (*run)(void *result, const void *args);
	/* Calls the function for the elements lo <= i < hi: in[k][i] are its arguments, out[i] takes its result. Sets
	 * cursor->at before each call. NULL where there are no arrays. */
	void (*range)(void *out, const void *const *in, size_t lo, size_t hi, struct tz_cursor *cursor);
	uint32_t args_size;
	uint32_t result_size; /* 0 for void */
	uint32_t align; /* of arguments and result; 0 counts as 16 */
	uint32_t nargs;
	tz_type result;
	tz_type args[TZ_ARGS_MAX];
	uint32_t arg_offset[TZ_ARGS_MAX]; /* of each argument in the arguments struct */
	const char *file; /* where TZ_TASK stands */
	uint32_t line;
	/* By what another process finds it and knows it for a descriptor. */
	const struct tz_module *tz__module;
	const struct tz_task *const *tz__entry; /* where the section tz_tasks points at it */
	void **tz__slot; /* the library's, zero at first */
	uint64_t tz__magic;
} tz_task;

/* A future: the handle on a job. Copied by value; the copies are one handle. All-zero is no future. */
typedef struct tz_handle {
	void *tz__cell;
	uint64_t tz__generation;
} tz_handle;

/* A future of any task; area_future and its like differ in tz__type only. TZ_FUTURE(f) makes one of any future. */
typedef union tz_future {
	tz_handle handle;
	void *tz__type;
} tz_future;

TZ_END_DECLS

/* TZ_FUTURE - any typed future as an untyped one, for arrays that mix tasks.
 *
 * Form: tz_future TZ_FUTURE(area_future f)
 * Ownership: the answer is the same future, not another one.
 * Threads: any.
 * Errors: none. */
#ifdef __cplusplus
extern "C++" {
template <typename T, typename U> struct tz__is_same {
	static constexpr bool value = false;
};
template <typename T> struct tz__is_same<T, T> {
	static constexpr bool value = true;
};
}
#define TZ_FUTURE(f) (tz__untyped((f).handle))
static inline tz_future tz__untyped(tz_handle h)
{
	tz_future f;
	f.handle = h;
	return f;
}
#else
#define TZ_FUTURE(f) ((tz_future){ .handle = (f).handle })
#endif

#endif
