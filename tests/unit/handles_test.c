/* Handles in values: shared memory and descriptors in messages, in arguments and in results, and where they do not go. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <trenza.h>
#include <trenza/shared_queue.h>

#include "../abilities.h"
#include "shared.h"
#include "travel.h"

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static void assert_repr(const tz_value *v, const char *expected)
{
	char *text = tz_value_repr(v);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

/* --- alone ---------------------------------------------------------------------------------------------------------------- */

static void a_value_has_a_reference(void **state)
{
	int *memory = TZ_SHARED_NEW(int);
	tz_value v = tz_list(tz_pointer(memory), 1), copy;
	char expected[100];

	(void)state;
	assert_int_equal(tz_value_kind_of(tz_value_at(&v, 0)), TZ_VALUE_POINTER);
	assert_ptr_equal(tz_value_pointer(tz_value_at(&v, 0)), memory);
	assert_null(tz_value_pointer(tz_value_at(&v, 1)));
	assert_null(tz_value_pointer(NULL));
	(void)snprintf(expected, sizeof expected, "[<shared memory %p>, 1]", (void *)memory);
	assert_repr(&v, expected);
	tz_shared_free(memory);
	assert_true(is_mapped(memory));
	copy = tz_value_copy(&v);
	assert_int_equal(tz_value_compare(&v, &copy), 0);
	tz_value_free(v);
	assert_true(is_mapped(memory));
	tz_value_free(copy);
	assert_false(is_mapped(memory));
}

static void a_value_has_a_descriptor(void **state)
{
	int before = open_descriptors(), ends[2], fd;
	tz_value v, copy;
	char expected[100];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	v = tz_list((tz_fd){ ends[1] });
	fd = tz_value_fd(tz_value_at(&v, 0));
	assert_int_equal(tz_value_kind_of(tz_value_at(&v, 0)), TZ_VALUE_FD);
	assert_true(fd >= 0 && fd != ends[1] && same_file(fd, ends[1]));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(tz_value_fd(&v), -EINVAL);
	assert_int_equal(tz_value_fd(NULL), -EINVAL);
	(void)snprintf(expected, sizeof expected, "[<descriptor %d>]", fd);
	assert_repr(&v, expected);
	copy = tz_value_copy(&v);
	assert_int_equal(tz_value_compare(&v, &copy), 0);
	assert_int_equal(tz_value_size(&copy), 1);
	assert_int_equal(tz_value_size(tz_value_at(&copy, 0)), 0);
	tz_value_free(v);
	assert_int_equal(tz_value_fd(tz_value_at(&copy, 0)), fd);
	assert_true(same_file(fd, ends[1]));
	tz_value_free(copy);
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_int_equal(open_descriptors(), before);
}

static void what_is_no_handle(void **state)
{
	int here = 0;
	tz_value v = tz_pointer(&here);

	(void)state;
	assert_int_equal(tz_value_error(&v), -EFAULT);
	v = tz_list(1, tz_pointer(&here));
	assert_int_equal(tz_value_error(&v), -EFAULT);
	v = tz_pointer(NULL);
	assert_int_equal(tz_value_kind_of(&v), TZ_VALUE_NONE);
	v = tz_descriptor(-1);
	assert_int_equal(tz_value_error(&v), -EBADF);
	v = TZ_VALUE(((tz_fd){ 9999 }));
	assert_int_equal(tz_value_error(&v), -EBADF);
}

static void the_order_of_handles(void **state)
{
	int *one = TZ_SHARED_ARRAY(int, 2);
	tz_value some[] = { tz_dict(1, 2), tz_pointer(&one[0]), tz_pointer(&one[1]),
			    tz_descriptor(0), tz_descriptor(0) };
	enum { N = sizeof some / sizeof some[0] };

	(void)state;
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			int c = tz_value_compare(&some[i], &some[j]);

			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
		}
	for (int i = 0; i < N; i++)
		tz_value_free(some[i]);
	tz_shared_free(one);
}

static void no_keys(void **state)
{
	int *memory = TZ_SHARED_NEW(int);
	tz_value v = tz_dict(tz_pointer(memory), 1);

	(void)state;
	assert_int_equal(tz_value_error(&v), -EINVAL);
	v = tz_dict("a", 1);
	assert_int_equal(tz_value_set(&v, tz_descriptor(0), tz_none), -EINVAL);
	assert_int_equal(tz_value_set(&v, tz_string("b"), tz_pointer(memory)), 0);
	assert_ptr_equal(tz_value_pointer(tz_value_get(&v, "b")), memory);
	tz_value_free(v);
	tz_shared_free(memory);
	assert_false(is_mapped(memory));
}

static void bytes_alone_bring_them_nowhere(void **state)
{
	int *memory = TZ_SHARED_NEW(int);
	tz_value v = tz_list(tz_pointer(memory)), fd = tz_descriptor(0), again;
	void *bytes = NULL;
	size_t size = 0;
	tz_shared_queue *q;
	tz_shared_list *l;

	(void)state;
	assert_int_equal(tz_value_pack(&v, &bytes, &size), -ENOTSUP);
	assert_int_equal(tz_value_pack(&fd, &bytes, &size), -ENOTSUP);
	assert_null(bytes);
	/* What a carrier would have written. */
	assert_int_equal(tz_value_unpack("\x91\xd7\x01\0\0\0\0\0\0\x01\0", 11, NULL, &again),
			 -EPROTO);
	assert_int_equal(tz_value_unpack("\xd7\x02\x01\0\0\0\0\0\0\0", 10, NULL, &again), -EPROTO);
	assert_int_equal(tz_shared_queue_open(&q, NULL), 0);
	assert_int_equal(tz_put_value(q, v), -ENOTSUP);
	assert_int_equal(tz_put(q, ((tz_fd){ 1 })), -ENOTSUP);
	assert_int_equal(tz_shared_queue_size(q), 0);
	tz_shared_queue_close(q);
	assert_int_equal(tz_shared_list_open(&l, tz_list(1, 2), 0), 0);
	assert_int_equal(tz_shared_list_set(l, 0, fd), -ENOTSUP);
	tz_shared_free(l);
	tz_shared_free(memory);
	assert_false(is_mapped(memory));
}

/* --- messages --------------------------------------------------------------------------------------------------------------- */

struct ends {
	tz_connection *here, *there;
};

/* Another process, which has none of it by fork: what it uses, it has from the message. */
static void answer(void *arg)
{
	struct ends *ends = arg;
	tz_value v;
	tz_shared_queue *q;
	long *count;

	tz_connection_close(ends->here);
	must(tz_recv(ends->there, &v) == 0);
	q = tz_value_pointer(tz_value_at(&v, 1));
	count = tz_value_pointer(tz_value_get(tz_value_at(&v, 2), "count"));
	must(q && count && tz_value_pointer(tz_value_get(tz_value_at(&v, 2), "next")) == count + 1);
	must(tz_shared_size(count) == 4096);
	must(write(tz_value_fd(tz_value_at(&v, 0)), "x", 1) == 1);
	must(fcntl(tz_value_fd(tz_value_at(&v, 0)), F_GETFD) == FD_CLOEXEC);
	count[0] = 42;
	count[1] = 43;
	must(tz_put(q, tz_list("from", "there")) == 0);
	tz_value_free(v);
	must(!is_mapped(count) && !is_mapped(q));
	tz_connection_close(ends->there);
}

static void a_message_brings_them(void **state)
{
	int before = open_descriptors(), pipe[2];
	tz_shared_queue *q;
	struct ends ends;
	pid_t child;
	tz_value v;
	long *count;
	char x;

	(void)state;
	assert_int_equal(tz_pipe(&ends.here, &ends.there, TZ_DUPLEX), 0);
	child = child_start(answer, &ends);
	tz_connection_close(ends.there);
	assert_int_equal(tz_shared_queue_open(&q, NULL), 0);
	count = TZ_SHARED_ARRAY(long, 2);
	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	assert_int_equal(tz_send(ends.here, tz_list((tz_fd){ pipe[1] }, tz_pointer(q),
						    tz_dict("count", tz_pointer(count), "next",
							    tz_pointer(count + 1)))),
			 0);
	(void)close(pipe[1]);
	TZ_TIMEOUT(30)
		assert_int_equal(tz_get(q, &v), 0);
	assert_repr(&v, "['from', 'there']");
	tz_value_free(v);
	child_join(child);
	assert_int_equal(read(pipe[0], &x, 1), 1);
	assert_int_equal(read(pipe[0], &x, 1), 0); /* nobody has the other end any more */
	assert_int_equal(count[0], 42);
	assert_int_equal(count[1], 43);
	(void)close(pipe[0]);
	tz_shared_queue_close(q);
	tz_shared_free(count);
	tz_connection_close(ends.here);
	assert_int_equal(open_descriptors(), before);
}

/* In one process, what comes is what was sent; what is not received is closed. */
static void messages_to_oneself(void **state)
{
	int before = open_descriptors(), *memory = TZ_SHARED_NEW(int);
	struct ends ends;
	tz_bytes bytes;
	tz_value v;

	(void)state;
	assert_int_equal(tz_pipe(&ends.here, &ends.there, TZ_ONE_WAY), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_send(ends.there, tz_list(i, tz_pointer(memory), (tz_fd){ 0 },
							     (tz_fd){ 0 })),
				 0);
	assert_int_equal(tz_send(ends.there, "plain"), 0);
	assert_int_equal(tz_recv(ends.here, &v), 0);
	assert_ptr_equal(tz_value_pointer(tz_value_at(&v, 1)), memory);
	assert_true(same_file(tz_value_fd(tz_value_at(&v, 2)), 0));
	assert_true(tz_value_compare(tz_value_at(&v, 2), tz_value_at(&v, 3)) != 0);
	tz_value_free(v);
	assert_int_equal(tz_recv_bytes(ends.here, &bytes), 0);
	tz_buffer_free((void *)(uintptr_t)bytes.data);
	assert_int_equal(tz_recv(ends.here, &v), 0);
	tz_value_free(v);
	assert_int_equal(tz_recv(ends.here, &v), 0);
	assert_string_equal(tz_value_text(&v), "plain");
	tz_value_free(v);
	tz_connection_close(ends.here);
	tz_connection_close(ends.there);
	tz_shared_free(memory);
	assert_false(is_mapped(memory));
	assert_int_equal(open_descriptors(), before);
}

static void as_many_as_may_be(void **state)
{
	struct ends ends;
	tz_value v = tz_empty_list, many, again;

	(void)state;
	assert_int_equal(tz_pipe(&ends.here, &ends.there, TZ_DUPLEX), 0);
	for (int i = 0; i < TZ_HANDLES_IN_MESSAGE; i++)
		assert_int_equal(tz_value_append(&v, tz_descriptor(0)), 0);
	many = tz_value_copy(&v);
	assert_int_equal(tz_value_append(&many, tz_descriptor(0)), 0);
	assert_int_equal(tz_send_value(ends.here, many), -EMSGSIZE);
	assert_int_equal(tz_send_value(ends.here, v), 0);
	assert_int_equal(tz_recv(ends.there, &again), 0);
	assert_int_equal(tz_value_size(&again), TZ_HANDLES_IN_MESSAGE);
	for (int i = 0; i < TZ_HANDLES_IN_MESSAGE; i++)
		assert_true(same_file(tz_value_fd(tz_value_at(&again, (size_t)i)), 0));
	tz_value_free(again);
	tz_connection_close(ends.here);
	tz_connection_close(ends.there);
}

/* Sends what a tz_send would, or something like it, through a socket; says what a connection at the other end makes of it. */
static int receive_raw(const void *bytes, size_t size, const int *fds, int n, bool handles)
{
	tz_connection *from, *to;
	tz_value v = tz_none;
	int ends[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(tz_connection_open(&from, ends[0], NULL), 0);
	assert_int_equal(tz_connection_open(&to, ends[1],
					    TZ_OPTIONS(tz_connection_options, .handles = handles)),
			 0);
	assert_int_equal(tz_send_fds(from, bytes, size, fds, n), 0);
	assert_int_equal(tz_send(from, 7), 0);
	r = tz_recv(to, &v);
	tz_value_free(v);
	/* Whatever it was, the next message is there. */
	assert_int_equal(tz_recv(to, &v), 0);
	assert_int_equal(tz_value_kind_of(&v), TZ_VALUE_INT);
	tz_connection_close(from);
	tz_connection_close(to);
	return r;
}

/* As struct tz_ref. */
struct ref {
	uint32_t kind, reserved;
	uint64_t size;
};

enum { SHARED = 3, FD = 4, SIZE = 4096 };

struct hostile {
	const char *what;
	unsigned char value[24];
	size_t size;
	struct ref refs[2];
	int n, nrefs;
	int expected;
};

#define POINTER_WORD(index, offset) \
	(offset) & 255, (offset) >> 8 & 255, (offset) >> 16 & 255, (offset) >> 24 & 255, 0, 0, \
		(index)&255, (index) >> 8 & 255
#define POINTER(index, offset) 0xd7, 1, POINTER_WORD(index, offset)
#define DESCRIPTOR(word) 0xd7, 2, (word), 0, 0, 0, 0, 0, 0, 0

static void hostile_messages(void **state)
{
	static const struct hostile some[] = {
		{ "a pointer", { POINTER(1, 8) }, 10, { { SHARED, 0, SIZE } }, 1, 1, 0 },
		{ "a descriptor", { DESCRIPTOR(1) }, 10, { { FD, 0, 0 } }, 1, 1, 0 },
		{ "both",
		  { 0x92, POINTER(1, 4095), DESCRIPTOR(2) },
		  21,
		  { { SHARED, 0, SIZE }, { FD, 0, 0 } },
		  2,
		  2,
		  0 },
		{ "nothing of what came",
		  { 0xc0 },
		  1,
		  { { SHARED, 0, SIZE }, { FD, 0, 0 } },
		  2,
		  2,
		  0 },
		{ "beyond the end",
		  { POINTER(1, 4096) },
		  10,
		  { { SHARED, 0, SIZE } },
		  1,
		  1,
		  -EBADMSG },
		{ "no such memory",
		  { POINTER(2, 0) },
		  10,
		  { { SHARED, 0, SIZE } },
		  1,
		  1,
		  -EBADMSG },
		{ "none", { POINTER(0, 0) }, 10, { { SHARED, 0, SIZE } }, 1, 1, -EBADMSG },
		{ "the last one",
		  { POINTER(0xffff, 0) },
		  10,
		  { { SHARED, 0, SIZE } },
		  1,
		  1,
		  -EBADMSG },
		{ "a pointer to a descriptor",
		  { POINTER(1, 0) },
		  10,
		  { { FD, 0, 0 } },
		  1,
		  1,
		  -EBADMSG },
		{ "memory as a descriptor",
		  { DESCRIPTOR(1) },
		  10,
		  { { SHARED, 0, SIZE } },
		  1,
		  1,
		  -EBADMSG },
		{ "no descriptor", { DESCRIPTOR(0) }, 10, { { FD, 0, 0 } }, 1, 1, -EBADMSG },
		{ "twice",
		  { 0x92, DESCRIPTOR(1), DESCRIPTOR(1) },
		  21,
		  { { FD, 0, 0 } },
		  1,
		  1,
		  -EBADMSG },
		{ "as a key", { 0x81, DESCRIPTOR(1), 0xc0 }, 12, { { FD, 0, 0 } }, 1, 1, -EBADMSG },
		{ "another type",
		  { 0xd7, 3, 0, 0, 0, 0, 0, 0, 1, 0 },
		  10,
		  { { SHARED, 0, SIZE } },
		  1,
		  1,
		  -EBADMSG },
		{ "a short word", { 0xd6, 2, 1, 0, 0, 0 }, 6, { { FD, 0, 0 } }, 1, 1, -EBADMSG },
		{ "cut", { 0xd7, 2, 1, 0 }, 4, { { FD, 0, 0 } }, 1, 1, -EBADMSG },
		{ "more than one value", { 0xc0, 0xc0 }, 2, { { FD, 0, 0 } }, 1, 1, -EBADMSG },
		{ "more memory than there is",
		  { POINTER(1, 0) },
		  10,
		  { { SHARED, 0, UINT64_C(1) << 60 } },
		  1,
		  1,
		  -EBADMSG },
		{ "no page", { POINTER(1, 0) }, 10, { { SHARED, 0, 1 } }, 1, 1, -EBADMSG },
		{ "no size", { POINTER(1, 0) }, 10, { { SHARED, 0, 0 } }, 1, 1, -EBADMSG },
		{ "a buffer", { POINTER(1, 0) }, 10, { { 2, 0, SIZE } }, 1, 1, -EBADMSG },
		{ "of no kind", { 0xc0 }, 1, { { 0, 0, 0 } }, 1, 1, -EBADMSG },
		{ "without a word on one",
		  { DESCRIPTOR(1) },
		  10,
		  { { FD, 0, 0 } },
		  2,
		  1,
		  -EBADMSG },
		{ "without a word", { 0xc0 }, 1, { { 0 } }, 1, 0, -EBADMSG },
	};
	unsigned char message[sizeof some[0].value + sizeof some[0].refs];
	int before = open_descriptors();

	(void)state;
	for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
		const struct hostile *h = &some[i];
		size_t refs = (size_t)h->nrefs * sizeof h->refs[0];
		int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING), fds[2], r;

		assert_int_equal(ftruncate(memory, SIZE), 0);
		assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
		memcpy(message, h->value, h->size);
		memcpy(message + h->size, h->refs, refs);
		fds[0] = h->refs[0].kind == FD ? 0 : memory;
		fds[1] = 0;
		r = receive_raw(message, h->size + refs, fds, h->n, true);
		if (r != h->expected && !(h->expected == -EBADMSG && r == -ENOMEM))
			fail_msg("%s: %d", h->what, r);
		/* An end that takes none takes none. */
		assert_int_equal(receive_raw(message, h->size + refs, fds, h->n, false), -EBADMSG);
		(void)close(memory);
		assert_int_equal(open_descriptors(), before);
	}
}

/* What could be cut from under who uses it. */
static void memory_that_could_shrink_is_refused(void **state)
{
	const unsigned char value[] = { POINTER(1, 0) };
	const struct ref ref = { SHARED, 0, SIZE };
	unsigned char message[sizeof value + sizeof ref];
	int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(memory, SIZE), 0);
	memcpy(message, value, sizeof value);
	memcpy(message + sizeof value, &ref, sizeof ref);
	assert_int_equal(receive_raw(message, sizeof message, &memory, 1, true), -EBADMSG);
	(void)close(memory);
	memory = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(receive_raw(message, sizeof message, &memory, 1, true), -EBADMSG);
	(void)close(memory);
}

static void only_unix_sockets_bring_them(void **state)
{
	tz_connection *to, *from;
	int fds[2], *memory = TZ_SHARED_NEW(int);

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(tz_connection_open(&to, fds[0], NULL), 0);
	assert_int_equal(tz_connection_open(&from, fds[1], NULL), 0);
	assert_int_equal(tz_send(from, tz_list(tz_pointer(memory))), -EOPNOTSUPP);
	assert_int_equal(tz_send(from, ((tz_fd){ 0 })), -EOPNOTSUPP);
	assert_int_equal(tz_connection_poll(to), 0);
	tz_connection_close(to);
	tz_connection_close(from);
	tz_shared_free(memory);
	assert_false(is_mapped(memory));
}

/* --- tasks ------------------------------------------------------------------------------------------------------------------- */

static long add(tz_value v)
{
	long *sum = tz_value_pointer(tz_value_get(&v, "sum"));
	const tz_value *to = tz_value_get(&v, "to");
	int64_t n = 0;

	tz_value_to_int(tz_value_get(&v, "n"), &n);
	(void)__atomic_add_fetch(sum, (long)n, __ATOMIC_RELAXED);
	return to ? dprintf(tz_value_fd(to), "%d", (int)n) : 0;
}
TZ_TASK(long, add, tz_value);

static void arguments_bring_them(void **state)
{
	tz_executor *alone = open_alone();
	int pipe[2], before;
	long *sum = TZ_SHARED_NEW(long), r = 0;
	char text[20] = "";
	tz_value v;

	(void)state;
	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	before = open_descriptors();
	for (int i = 1; i <= 9; i++) {
		v = tz_dict("sum", tz_pointer(sum), "n", i, "to", (tz_fd){ pipe[1] });
		check_done(tz_result(tz_submit(alone, add, v), &r), "add");
		assert_int_equal(r, 1);
		tz_value_free(v);
	}
	assert_int_equal(*sum, 45);
	check_descriptors(before);
	(void)close(pipe[1]);
	for (size_t n = 0; n < 9;) {
		ssize_t got = read(pipe[0], text + n, sizeof text - 1 - n);

		assert_true(got > 0);
		n += (size_t)got;
	}
	assert_string_equal(text, "123456789");
	assert_int_equal(read(pipe[0], text, 1), 0); /* the worker has it no more */
	(void)close(pipe[0]);
	tz_executor_close(alone);
	tz_shared_free(sum);
	assert_false(is_mapped(sum));
}

static tz_value make(int n)
{
	int *numbers = TZ_SHARED_ARRAY(int, n), ends[2];
	tz_value v;

	for (int i = 0; i < n; i++)
		numbers[i] = i * i;
	if (pipe2(ends, O_CLOEXEC) < 0 || write(ends[1], "x", 1) != 1)
		return tz_none;
	v = tz_list(tz_pointer(numbers), (tz_fd){ ends[0] });
	tz_shared_free(numbers);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return v;
}
TZ_TASK(tz_value, make, int);

static void results_bring_them(void **state)
{
	tz_executor *alone = open_alone();
	int before = open_descriptors();

	(void)state;
	for (int i = 0; i < 20; i++) {
		tz_value v = tz_none;
		const int *numbers;
		char x[2];

		check_done(tz_result(tz_submit(alone, make, 1000), &v), "make");
		numbers = tz_value_pointer(tz_value_at(&v, 0));
		assert_non_null(numbers);
		assert_int_equal(numbers[999], 999 * 999);
		assert_int_equal(read(tz_value_fd(tz_value_at(&v, 1)), x, 2), 1);
		assert_int_equal(read(tz_value_fd(tz_value_at(&v, 1)), x, 2), 0);
		tz_value_free(v);
		assert_false(is_mapped(numbers));
	}
	check_descriptors(before);
	tz_executor_close(alone);
}

static void maps_bring_them(void **state)
{
	enum { N = 100 };
	static tz_value in[N];
	static long out[N];
	long *sum = TZ_SHARED_NEW(long);

	(void)state;
	for (int i = 0; i < N; i++)
		in[i] = tz_dict("sum", tz_pointer(sum), "n", i);
	check_done(tz_map(ex, add, N, out, in), "map");
	assert_int_equal(*sum, N * (N - 1) / 2);
	for (int i = 0; i < N; i++)
		tz_value_free(in[i]);
	tz_shared_free(sum);
	assert_false(is_mapped(sum));
}

static void grow(tz_value v)
{
	long *sum = tz_value_pointer(tz_value_at(&v, 0));

	*sum += 1;
	(void)!write(tz_value_fd(tz_value_at(&v, 1)), "y", 1);
}
TZ_TASK(void, grow, tz_value);

static void processes_get_them(void **state)
{
	const tz_start_method methods[] = { TZ_START_SPAWN, TZ_START_FORKSERVER };
	long *sum = TZ_SHARED_NEW(long);
	int pipe[2];
	char got[4];

	(void)state;
	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	for (int i = 0; i < 2; i++) {
		tz_process_options o = { .method = methods[i] };
		tz_value v = tz_list(tz_pointer(sum), (tz_fd){ pipe[1] });
		tz_process *p;

		check_done(tz_process_open_with(&p, &o, grow, v), "grow");
		tz_value_free(v);
		assert_int_equal(tz_process_join_until(p, soon()), 0);
		assert_int_equal(tz_process_close(p), 0);
		assert_int_equal(read(pipe[0], got, sizeof got), 1);
	}
	assert_int_equal(*sum, 2);
	(void)close(pipe[0]);
	(void)close(pipe[1]);
	tz_shared_free(sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_has_a_reference),
		cmocka_unit_test(a_value_has_a_descriptor),
		cmocka_unit_test(what_is_no_handle),
		cmocka_unit_test(the_order_of_handles),
		cmocka_unit_test(no_keys),
		cmocka_unit_test(bytes_alone_bring_them_nowhere),
		cmocka_unit_test(a_message_brings_them),
		cmocka_unit_test(messages_to_oneself),
		cmocka_unit_test(as_many_as_may_be),
		cmocka_unit_test(hostile_messages),
		cmocka_unit_test(memory_that_could_shrink_is_refused),
		cmocka_unit_test(only_unix_sockets_bring_them),
		cmocka_unit_test(arguments_bring_them),
		cmocka_unit_test(results_bring_them),
		cmocka_unit_test(maps_bring_them),
		cmocka_unit_test(processes_get_them),
	};

	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	return cmocka_run_group_tests(tests, open_executor, close_executor);
}
