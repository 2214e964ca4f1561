/* Connections: messages of all sizes, the end, time, descriptors, and waiting for several things. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "check.h"
#include "crew.h"
#include "descriptors.h"
#include "shared/connection.h"

/* Both ends of a pipe, and two plain descriptors to set against an end. */
struct ends {
	tz_connection *a, *b;
	int raw; /* at the other end of `a`, in tests of what a foreign peer may do; else -1 */
};

static void open_pipe(struct ends *e)
{
	e->raw = -1;
	assert_int_equal(tz_pipe(&e->a, &e->b, TZ_DUPLEX), 0);
}

static void open_raw(struct ends *e, size_t max_message)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(
		tz_connection_open(&e->a, fds[0],
				   TZ_OPTIONS(tz_connection_options, .max_message = max_message)),
		0);
	e->b = NULL;
	e->raw = fds[1];
}

static void close_ends(struct ends *e)
{
	tz_connection_close(e->a);
	tz_connection_close(e->b);
	if (e->raw >= 0)
		(void)close(e->raw);
	memset(e, 0, sizeof *e);
	e->raw = -1;
}

static unsigned char byte_at(size_t i, unsigned seed)
{
	return (unsigned char)(i * 131 + (i >> 9) + seed);
}

static void *pattern(size_t size, unsigned seed)
{
	unsigned char *p = malloc(size ? size : 1);

	must(p != NULL);
	for (size_t i = 0; i < size; i++)
		p[i] = byte_at(i, seed);
	return p;
}

static bool is_pattern(const void *data, size_t size, unsigned seed)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		if (p[i] != byte_at(i, seed))
			return false;
	return true;
}

static void write_all(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);

		must(n > 0);
		done += (size_t)n;
	}
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void what_is_sent_is_received(void **state)
{
	struct ends e;
	char got[16];

	(void)state;
	open_pipe(&e);
	assert_int_equal(tz_send_bytes(e.a, "hello", 5), 0);
	assert_int_equal(tz_send_bytes(e.a, "", 0), 0);
	assert_int_equal(tz_send_bytes(e.a, NULL, 0), 0);
	assert_int_equal(tz_send_bytes(e.a, "bye", 3), 0);
	assert_int_equal(tz_recv_bytes_into(e.b, got, sizeof got), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(tz_recv_bytes_into(e.b, got, sizeof got), 0);
	assert_int_equal(tz_recv_bytes_into(e.b, NULL, 0), 0);
	assert_int_equal(tz_recv_bytes_into(e.b, got, 3), 3);
	assert_memory_equal(got, "bye", 3);
	close_ends(&e);
}

static void both_ways(void **state)
{
	struct ends e;
	tz_bytes got;

	(void)state;
	open_pipe(&e);
	assert_int_equal(tz_send_bytes(e.b, "there", 5), 0);
	assert_int_equal(tz_send_bytes(e.a, "and back", 8), 0);
	assert_int_equal(tz_recv_bytes(e.a, &got), 0);
	assert_int_equal(got.size, 5);
	assert_memory_equal(got.data, "there", 5);
	tz_buffer_free((void *)(uintptr_t)got.data);
	assert_int_equal(tz_recv_bytes(e.b, &got), 0);
	assert_int_equal(got.size, 8);
	tz_buffer_free((void *)(uintptr_t)got.data);
	close_ends(&e);
}

static void an_empty_message_is_one(void **state)
{
	struct ends e;
	tz_bytes got = { "x", 7 };

	(void)state;
	open_pipe(&e);
	assert_int_equal(tz_send_bytes(e.a, NULL, 0), 0);
	assert_int_equal(tz_connection_poll(e.b), 1);
	assert_int_equal(tz_recv_bytes(e.b, &got), 0);
	assert_int_equal(got.size, 0);
	assert_null(got.data);
	assert_int_equal(tz_connection_poll(e.b), 0);
	close_ends(&e);
}

static void one_way_is_one_way(void **state)
{
	tz_connection *to, *from;
	tz_bytes got;

	(void)state;
	assert_int_equal(tz_pipe(&to, &from, TZ_ONE_WAY), 0);
	assert_true(tz_connection_readable(to));
	assert_false(tz_connection_writable(to));
	assert_false(tz_connection_readable(from));
	assert_true(tz_connection_writable(from));
	assert_int_equal(tz_send_bytes(to, "x", 1), -EBADF);
	assert_int_equal(tz_recv_bytes(from, &got), -EBADF);
	assert_int_equal(tz_connection_poll(from), -EBADF);
	assert_int_equal(tz_connection_poll_until(from, soon()), -EBADF);
	assert_int_equal(tz_send_bytes(from, "x", 1), 0);
	assert_int_equal(tz_recv_bytes(to, &got), 0);
	tz_buffer_free((void *)(uintptr_t)got.data);
	tz_connection_close(to);
	tz_connection_close(from);
	assert_int_equal(tz_pipe(&to, &from, (tz_pipe_ways)2), -EINVAL);
	tz_connection_close(NULL);
}

static const size_t sizes[] = { 0,     1,     3,     4,     507,   508,    509,     4096,   16384,
				16385, 65519, 65520, 65521, 65536, 200000, 1048576, 5000003 };
enum { SIZES = sizeof sizes / sizeof *sizes };

static void *send_all_sizes(void *arg)
{
	for (unsigned i = 0; i < SIZES; i++) {
		void *data = pattern(sizes[i], i);

		must(tz_send_bytes(arg, data, sizes[i]) == 0);
		free(data);
	}
	return NULL;
}

/* With `state`, at an end that others may receive from, too. */
static void all_sizes(void **state)
{
	struct crew crew = { .count = 0 };
	struct tz_connection_terms terms;
	struct ends e;
	int fd;

	open_pipe(&e);
	if (*state)
		assert_int_equal(tz_connection_depart(e.b, &fd, &terms), 0);
	crew_add(&crew, send_all_sizes, e.a);
	for (unsigned i = 0; i < SIZES; i++) {
		tz_bytes got;

		assert_int_equal(tz_recv_bytes(e.b, &got), 0);
		assert_int_equal(got.size, sizes[i]);
		assert_true(is_pattern(got.data, got.size, i));
		tz_buffer_free((void *)(uintptr_t)got.data);
	}
	crew_join(&crew);
	close_ends(&e);
}

static void all_sizes_into_memory(void **state)
{
	struct crew crew = { .count = 0 };
	void *to = malloc(sizes[SIZES - 1]);
	struct ends e;

	(void)state;
	assert_non_null(to);
	open_pipe(&e);
	crew_add(&crew, send_all_sizes, e.a);
	for (unsigned i = 0; i < SIZES; i++) {
		size_t size;

		assert_int_equal(tz_recv_size(e.b, &size), 0);
		assert_int_equal(size, sizes[i]);
		if (size > 0)
			assert_int_equal(tz_recv_bytes_into(e.b, to, size - 1), -EMSGSIZE);
		assert_int_equal(tz_recv_bytes_into(e.b, to, size), size);
		assert_true(is_pattern(to, size, i));
	}
	crew_join(&crew);
	free(to);
	close_ends(&e);
}

/* A large message that was begun by a poll ends in the caller's memory. */
static void what_was_polled_can_go_into_memory(void **state)
{
	enum { SIZE = 300000 };
	struct crew crew = { .count = 0 };
	void *to = malloc(5000003);
	struct ends e;

	(void)state;
	assert_non_null(to);
	open_pipe(&e);
	crew_add(&crew, send_all_sizes, e.a);
	for (unsigned i = 0; i < SIZES; i++) {
		assert_int_equal(tz_connection_poll_until(e.b, soon()), 0);
		assert_int_equal(tz_connection_poll(e.b), 1);
		assert_int_equal(tz_recv_bytes_into(e.b, to, sizes[i]), sizes[i]);
		assert_true(is_pattern(to, sizes[i], i));
	}
	crew_join(&crew);
	free(to);
	close_ends(&e);
}

struct order {
	int table;
	double price;
};
TZ_FLAT(struct order);

static void items(void **state)
{
	struct order o = { 4, 9.5 }, got = { 0, 0 };
	struct ends e;
	int i = 0;

	(void)state;
	open_pipe(&e);
	assert_int_equal(tz_send_item(e.a, o), 0);
	assert_int_equal(tz_send_item(e.a, 42), 0);
	assert_int_equal(tz_send_item(e.a, 43L), 0);
	assert_int_equal(tz_send_bytes(e.a, sizes, 100000 > sizeof sizes ? sizeof sizes : 1), 0);
	assert_int_equal(tz_send_item(e.a, 44), 0);
	assert_int_equal(tz_recv_item(e.b, &got), 0);
	assert_int_equal(got.table, 4);
	assert_true(got.price > 9.4 && got.price < 9.6);
	assert_int_equal(tz_recv_item(e.b, &i), 0);
	assert_int_equal(i, 42);
	assert_int_equal(tz_recv_item(e.b, &i), -EBADMSG); /* another size: dropped */
	assert_int_equal(tz_recv_item(e.b, &i), -EBADMSG);
	assert_int_equal(i, 42);
	assert_int_equal(tz_recv_item(e.b, &i), 0);
	assert_int_equal(i, 44);
	close_ends(&e);
}

static void values(void **state)
{
	tz_value got = tz_none;
	struct ends e;
	char *text;

	(void)state;
	open_pipe(&e);
	assert_int_equal(tz_send(e.a, "hello"), 0);
	assert_int_equal(tz_send(e.a, 42), 0);
	assert_int_equal(tz_send(e.a, tz_list(42, tz_none, tz_dict("pi", 3.5))), 0);
	assert_int_equal(tz_send_bytes(e.a, "\xc1", 1), 0); /* never used in MessagePack */
	assert_int_equal(tz_send_bytes(e.a, "\1\1", 2), 0); /* two values */
	assert_int_equal(tz_send(e.a, tz_none), 0);
	for (int i = 0; i < 3; i++) {
		static const char *const wanted[] = { "'hello'", "42", "[42, None, {'pi': 3.5}]" };

		assert_int_equal(tz_recv(e.b, &got), 0);
		text = tz_value_repr(&got);
		assert_string_equal(text, wanted[i]);
		free(text);
		tz_value_free(got);
	}
	assert_int_equal(tz_recv(e.b, &got), -EBADMSG);
	assert_int_equal(tz_recv(e.b, &got), -EBADMSG);
	assert_int_equal(tz_recv(e.b, &got), 0);
	assert_int_equal(got.tz__kind, TZ_VALUE_NONE);
	tz_connection_close(e.b);
	e.b = NULL;
	assert_int_equal(tz_send(e.a, tz_list("is", "freed")), -EPIPE);
	close_ends(&e);
}

/* --- frames -------------------------------------------------------------------------------------------------------- */

static void frames_are_those_of_python(void **state)
{
	static const unsigned char wanted[] = { 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 1, 0 };
	unsigned char got[512];
	void *data = pattern(256, 1);
	struct ends e;

	(void)state;
	open_raw(&e, 0);
	assert_int_equal(tz_send_bytes(e.a, "abc", 3), 0);
	assert_int_equal(tz_send_bytes(e.a, "", 0), 0);
	assert_int_equal(tz_send_bytes(e.a, data, 256), 0);
	assert_int_equal(recv(e.raw, got, sizeof wanted + 256, MSG_WAITALL), sizeof wanted + 256);
	assert_memory_equal(got, wanted, sizeof wanted);
	assert_memory_equal(got + sizeof wanted, data, 256);
	free(data);
	close_ends(&e);
}

/* Byte by byte, and with a length in 8 bytes that would go into 4. */
static void frames_may_come_in_pieces(void **state)
{
	static const unsigned char frames[] = { 0,    0,   0,   2, 'a', 'b', 0xff, 0xff, 0xff,
						0xff, 0,   0,   0, 0,   0,   0,    0,    3,
						'c',  'd', 'e', 0, 0,   0,   0 };
	struct ends e;
	const int wanted[] = { 2, 3, 0 };
	char got[8];
	int messages = 0;

	(void)state;
	open_raw(&e, 0);
	for (size_t i = 0; i < sizeof frames; i++) {
		int there;

		write_all(e.raw, frames + i, 1);
		there = tz_connection_poll(e.a);
		assert_int_equal(there, i == 5 || i == 20 || i == 24);
		if (!there)
			continue;
		assert_int_equal(tz_recv_bytes_into(e.a, got, sizeof got), wanted[messages]);
		messages++;
	}
	assert_int_equal(messages, 3);
	close_ends(&e);
}

static void what_is_no_frame_is_refused(void **state)
{
	static const unsigned char bad[][16] = {
		{ 0xff, 0xff, 0xff, 0xfd },
		{ 0x80 },
		{ 0xff, 0xff, 0xff, 0xff, 0x80 },
		{ 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 1 },
		{ 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0, 1 },
	};
	char got[8];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ends e;
		tz_bytes any;

		open_raw(&e, 0);
		write_all(e.raw, bad[i], 16);
		assert_int_equal(tz_connection_poll(e.a), 1);
		assert_int_equal(tz_recv_bytes_into(e.a, got, sizeof got), -EPROTO);
		assert_int_equal(tz_recv_bytes(e.a, &any), -EPROTO); /* and stays */
		assert_int_equal(tz_send_bytes(e.a, "x", 1),
				 0); /* the other way is another matter */
		close_ends(&e);
	}
}

static void more_than_the_limit_is_refused_and_not_lost(void **state)
{
	struct ends e;
	tz_bytes got;
	void *data = pattern(1001, 3);

	(void)state;
	open_raw(&e, 1000);
	write_all(e.raw, "\0\0\3\xe9", 4);
	write_all(e.raw, data, 1001);
	assert_int_equal(tz_connection_poll(e.a), 1);
	assert_int_equal(tz_recv_bytes(e.a, &got), -EMSGSIZE);
	assert_int_equal(tz_recv_bytes(e.a, &got), -EMSGSIZE);
	tz_connection_set_limit(e.a, 1001);
	assert_int_equal(tz_recv_bytes(e.a, &got), 0);
	assert_int_equal(got.size, 1001);
	assert_true(is_pattern(got.data, 1001, 3));
	tz_buffer_free((void *)(uintptr_t)got.data);
	free(data);
	close_ends(&e);
}

/* A length that nobody has the memory for costs nothing, and is said. */
static void a_huge_length_is_only_a_length(void **state)
{
	struct ends e;
	tz_bytes got;
	char small[4];
	size_t size;

	(void)state;
	open_raw(&e, 0);
	write_all(e.raw, "\xff\xff\xff\xff\x40\0\0\0\0\0\0\0", 12);
	assert_int_equal(tz_recv_size(e.a, &size), 0);
	assert_true(size == (size_t)1 << 62);
	assert_int_equal(tz_recv_bytes(e.a, &got), -ENOMEM);
	assert_int_equal(tz_recv_bytes_into(e.a, small, sizeof small), -EMSGSIZE);
	close_ends(&e);
}

/* --- more than 2 GiB ------------------------------------------------------------------------------------------------ */

static const size_t HUGE = ((size_t)5 << 30) / 2 + 12345;
enum { WINDOW = 1 << 20 };

/* Address space of HUGE bytes and more in which one window of memory is seen again and again. */
static unsigned char *hall_of_mirrors(void)
{
	size_t room = HUGE / WINDOW * WINDOW + WINDOW;
	int fd = memfd_create("window", MFD_CLOEXEC);
	unsigned char *p =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(fd >= 0 && ftruncate(fd, WINDOW) == 0 && p != MAP_FAILED);
	for (size_t at = 0; at < room; at += WINDOW)
		must(mmap(p + at, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) !=
		     MAP_FAILED);
	(void)close(fd);
	return p;
}

static void *send_huge(void *arg)
{
	unsigned char *data = hall_of_mirrors();

	for (size_t i = 0; i < WINDOW; i++)
		data[i] = byte_at(i, 9);
	must(tz_send_bytes(arg, data, HUGE) == 0);
	must(tz_send_bytes(arg, "after", 5) == 0);
	(void)munmap(data, HUGE / WINDOW * WINDOW + WINDOW);
	return NULL;
}

static void more_than_2_gib(void **state)
{
	struct crew crew = { .count = 0 };
	unsigned char *to;
	struct ends e;
	size_t size = 0, last = HUGE % WINDOW;
	char after[8];

	(void)state;
	if (BUILT_FOR_SANITIZER || EMULATED)
		skip(); /* they keep books of all memory that is written to */
	to = hall_of_mirrors();
	open_pipe(&e);
	crew_add(&crew, send_huge, e.a);
	assert_int_equal(tz_recv_size(e.b, &size), 0);
	assert_true(size == HUGE);
	assert_true(tz_recv_bytes_into(e.b, to, HUGE) == (ptrdiff_t)HUGE);
	/* In the window lie the message's last bytes, and before them in the message, behind them in the window, those of the time before. */
	assert_true(is_pattern(to, last, 9));
	assert_true(is_pattern(to, WINDOW, 9));
	assert_int_equal(tz_recv_bytes_into(e.b, after, sizeof after), 5);
	crew_join(&crew);
	(void)munmap(to, HUGE / WINDOW * WINDOW + WINDOW);
	close_ends(&e);
}

/* --- the end -------------------------------------------------------------------------------------------------------- */

static void the_end_comes_after_what_was_sent(void **state)
{
	struct ends e;
	char got[8];
	tz_bytes any;

	(void)state;
	open_pipe(&e);
	assert_int_equal(tz_send_bytes(e.b, "x", 1), 0); /* stays unread */
	assert_int_equal(tz_send_bytes(e.a, "one", 3), 0);
	assert_int_equal(tz_send_bytes(e.a, "two", 3), 0);
	tz_connection_close(e.a);
	e.a = NULL;
	assert_int_equal(tz_recv_bytes_into(e.b, got, sizeof got), 3);
	assert_int_equal(tz_connection_poll(e.b), 1);
	assert_int_equal(tz_recv_bytes_into(e.b, got, sizeof got), 3);
	assert_int_equal(tz_connection_poll_until(e.b, soon()), 0);
	assert_int_equal(tz_connection_poll(e.b), 1);
	assert_int_equal(tz_recv_bytes_into(e.b, got, sizeof got), -ENODATA);
	assert_int_equal(tz_recv_bytes(e.b, &any), -ENODATA);
	assert_int_equal(tz_send_bytes(e.b, "x", 1), -EPIPE);
	assert_int_equal(tz_send_bytes(e.b, sizes, sizeof sizes), -EPIPE);
	close_ends(&e);
}

static void the_end_in_the_middle_is_another_one(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cut[] = { { "\0", 1 },
		    { "\0\0\0\3", 4 },
		    { "\0\0\0\3ab", 6 },
		    { "\xff\xff\xff\xff\0", 5 },
		    { "\0\2\0\0abc", 7 } };

	(void)state;
	for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
		struct ends e;
		tz_bytes got;

		open_raw(&e, 0);
		write_all(e.raw, "\0\0\0\1x", 5);
		write_all(e.raw, cut[i].bytes, cut[i].size);
		(void)close(e.raw);
		e.raw = -1;
		assert_int_equal(tz_recv_bytes(e.a, &got), 0);
		tz_buffer_free((void *)(uintptr_t)got.data);
		assert_int_equal(tz_recv_bytes(e.a, &got), -ECONNRESET);
		assert_int_equal(tz_recv_bytes(e.a, &got), -ECONNRESET);
		close_ends(&e);
	}
}

static void pipes_of_the_system(void **state)
{
	struct sigaction before;
	tz_connection *to, *from;
	sigset_t pending;
	char got[8];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(tz_connection_open(&to, fds[0], NULL), 0);
	assert_int_equal(tz_connection_open(&from, fds[1], NULL), 0);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_false(tz_connection_writable(to));
	assert_false(tz_connection_readable(from));
	assert_int_equal(tz_send_bytes(from, "hello", 5), 0);
	assert_int_equal(tz_recv_bytes_into(to, got, sizeof got), 5);
	assert_int_equal(tz_send_fds(from, "x", 1, fds, 1), -EOPNOTSUPP);
	tz_connection_close(to);
	/* SIGPIPE would end the program. */
	assert_int_equal(sigaction(SIGPIPE, NULL, &before), 0);
	assert_true(before.sa_handler == SIG_DFL);
	assert_int_equal(tz_send_bytes(from, "hello", 5), -EPIPE);
	assert_int_equal(sigpending(&pending), 0);
	assert_int_equal(sigismember(&pending, SIGPIPE), 0);
	tz_connection_close(from);
}

static void what_is_no_stream_is_refused(void **state)
{
	int file = open("/dev/null", O_RDWR), fds[2];
	tz_connection *c = NULL;

	(void)state;
	assert_int_equal(tz_connection_open(&c, -1, NULL), -EBADF);
	assert_int_equal(tz_connection_open(&c, file, NULL), -EINVAL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	assert_int_equal(tz_connection_open(&c, fds[0], NULL), -EINVAL);
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(tz_connection_open(&c, fds[0],
					    TZ_OPTIONS(tz_connection_options, .no_send = true,
						       .no_receive = true)),
			 -EINVAL);
	assert_int_equal(
		tz_connection_open(&c, fds[0], TZ_OPTIONS(tz_connection_options, .size = 3)),
		-EINVAL);
	assert_null(c);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(file);
}

/* From now on one more descriptor can be opened. */
static struct rlimit allow_one_more(void)
{
	struct rlimit limit, few;
	int lowest = dup(0);

	must(lowest >= 0 && close(lowest) == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
	few = limit;
	few.rlim_cur = (rlim_t)lowest + 1;
	must(setrlimit(RLIMIT_NOFILE, &few) == 0);
	return limit;
}

static void nothing_stays_open(void **state)
{
	int before = open_descriptors();
	struct rlimit limit;
	tz_connection *a = NULL, *b = NULL;
	struct ends e;

	(void)state;
	open_pipe(&e);
	assert_int_equal(tz_send_fds(e.a, "x", 1, (const int[]){ 0, 1 }, 2), 0);
	assert_int_equal(tz_connection_poll(e.b), 1); /* has taken them in */
	close_ends(&e);
	assert_int_equal(open_descriptors(), before);
	limit = allow_one_more();
	assert_int_equal(tz_pipe(&a, &b, TZ_DUPLEX), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_null(a);
	assert_null(b);
	assert_int_equal(open_descriptors(), before);
}

/* --- time ----------------------------------------------------------------------------------------------------------- */

static void a_receive_that_ends_early_goes_on_later(void **state)
{
	enum { SIZE = 150000 };
	unsigned char *data = pattern(SIZE, 5), *to = malloc(SIZE);
	static const unsigned char head[] = { 0, SIZE >> 16, SIZE >> 8 & 0xff, SIZE & 0xff };
	tz_bytes got;
	struct ends e;

	(void)state;
	assert_non_null(to);
	for (int into = 0; into < 2; into++) {
		size_t sent = 0;

		open_raw(&e, 0);
		TZ_TIMEOUT(0.001)
			assert_int_equal(tz_recv_bytes(e.a, &got), -ETIMEDOUT);
		write_all(e.raw, head, 2);
		TZ_TIMEOUT(0.001)
			assert_int_equal(tz_recv_bytes(e.a, &got), -ETIMEDOUT);
		write_all(e.raw, head + 2, 2);
		for (; sent < SIZE - 30000; sent += 30000) {
			write_all(e.raw, data + sent, 30000);
			TZ_TIMEOUT(0.001) {
				if (into)
					assert_int_equal(tz_recv_bytes_into(e.a, to, SIZE),
							 -ETIMEDOUT);
				else
					assert_int_equal(tz_recv_bytes(e.a, &got), -ETIMEDOUT);
			}
			assert_int_equal(tz_connection_poll(e.a), 0);
		}
		write_all(e.raw, data + sent, SIZE - sent);
		if (into) {
			assert_int_equal(tz_recv_bytes_into(e.a, to, SIZE), SIZE);
			assert_true(is_pattern(to, SIZE, 5));
		} else {
			assert_int_equal(tz_recv_bytes(e.a, &got), 0);
			assert_true(got.size == SIZE && is_pattern(got.data, SIZE, 5));
			tz_buffer_free((void *)(uintptr_t)got.data);
		}
		close_ends(&e);
	}
	free(data);
	free(to);
}

/* Of a message into memory, too, where some of it lies in that already. */
static void a_receive_into_memory_keeps_what_it_has(void **state)
{
	enum { SIZE = 100000 };
	unsigned char *data = pattern(SIZE, 6), *to = malloc(SIZE);
	struct ends e;

	(void)state;
	assert_non_null(to);
	open_raw(&e, 0);
	write_all(e.raw, (const unsigned char[]){ 0, SIZE >> 16, SIZE >> 8 & 0xff, SIZE & 0xff },
		  4);
	write_all(e.raw, data, 70000);
	TZ_TIMEOUT(0.001)
		assert_int_equal(tz_recv_bytes_into(e.a, to, SIZE), -ETIMEDOUT);
	memset(to, 0, SIZE);
	write_all(e.raw, data + 70000, SIZE - 70000);
	assert_int_equal(tz_recv_bytes_into(e.a, to, SIZE), SIZE);
	assert_true(is_pattern(to, SIZE, 6));
	free(data);
	free(to);
	close_ends(&e);
}

static void a_send_that_ends_early_has_sent_nothing(void **state)
{
	char one[1000] = { 0 };
	int sent = 0, e = 0;
	struct ends p;
	tz_bytes got;

	(void)state;
	open_pipe(&p);
	TZ_TIMEOUT(0.01)
		for (; (e = tz_send_bytes(p.a, one, sizeof one)) == 0; sent++)
			;
	assert_int_equal(e, -ETIMEDOUT);
	assert_true(sent > 10);
	for (int i = 0; i < sent; i++) {
		assert_int_equal(tz_recv_bytes(p.b, &got), 0);
		assert_int_equal(got.size, sizeof one);
		tz_buffer_free((void *)(uintptr_t)got.data);
	}
	assert_int_equal(tz_connection_poll(p.b), 0);
	assert_int_equal(tz_send_bytes(p.a, "more", 4), 0);
	assert_int_equal(tz_recv_bytes(p.b, &got), 0);
	assert_int_equal(got.size, 4);
	tz_buffer_free((void *)(uintptr_t)got.data);
	close_ends(&p);
}

static void a_send_that_is_cut_off_is_told_to_the_peer(void **state)
{
	enum { SIZE = 10000000 };
	void *data = calloc(1, SIZE);
	struct ends e;
	tz_bytes got;

	(void)state;
	assert_non_null(data);
	open_pipe(&e);
	assert_int_equal(tz_send_bytes(e.a, "first", 5), 0);
	TZ_TIMEOUT(0.01)
		assert_int_equal(tz_send_bytes(e.a, data, SIZE), -ETIMEDOUT);
	assert_int_equal(tz_send_bytes(e.a, "more", 4), -EPIPE);
	assert_int_equal(tz_recv_bytes(e.b, &got), 0);
	assert_int_equal(got.size, 5);
	tz_buffer_free((void *)(uintptr_t)got.data);
	assert_int_equal(tz_recv_bytes(e.b, &got), -ECONNRESET);
	/* The other way is as before. */
	assert_int_equal(tz_send_bytes(e.b, "still", 5), 0);
	assert_int_equal(tz_recv_bytes(e.a, &got), 0);
	tz_buffer_free((void *)(uintptr_t)got.data);
	free(data);
	close_ends(&e);
}

static void a_send_into_a_pipe_is_cut_off_too(void **state)
{
	enum { SIZE = 10000000 };
	void *data = calloc(1, SIZE);
	tz_connection *to, *from;
	tz_bytes got;
	int fds[2];

	(void)state;
	assert_non_null(data);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(tz_connection_open(&to, fds[0], NULL), 0);
	assert_int_equal(tz_connection_open(&from, fds[1], NULL), 0);
	TZ_TIMEOUT(0.01)
		assert_int_equal(tz_send_bytes(from, data, SIZE), -ETIMEDOUT);
	assert_int_equal(tz_send_bytes(from, "more", 4), -EPIPE);
	assert_int_equal(tz_recv_bytes(to, &got), -ECONNRESET);
	tz_connection_close(to);
	tz_connection_close(from);
	free(data);
}

/* A scope that has ended ends no call that need not wait. */
static void what_need_not_wait_is_done(void **state)
{
	struct ends e;
	char got[8];

	(void)state;
	open_pipe(&e);
	TZ_TIMEOUT(0) {
		assert_int_equal(tz_send_bytes(e.a, "x", 1), 0);
		assert_int_equal(tz_recv_bytes_into(e.b, got, sizeof got), 1);
		assert_int_equal(tz_recv_bytes_into(e.b, got, sizeof got), -ETIMEDOUT);
		assert_int_equal(tz_connection_poll_until(e.b, soon()), -ETIMEDOUT);
	}
	assert_int_equal(tz_connection_poll_until(e.b, tz_after(0.001)), -ETIMEDOUT);
	close_ends(&e);
}

struct waiter {
	struct ends e;
	tz_scope scope;
	_Atomic int entered;
	int answer;
};

static void *receive_until_cancelled(void *arg)
{
	struct waiter *w = arg;
	tz_bytes got;

	tz_scope_enter(&w->scope, tz_never());
	atomic_store(&w->entered, 1);
	w->answer = tz_recv_bytes(w->e.a, &got);
	(void)tz_scope_leave(&w->scope);
	return NULL;
}

static void a_wait_can_be_cancelled(void **state)
{
	struct crew crew = { .count = 0 };
	struct waiter w = { .answer = 1 };

	(void)state;
	open_pipe(&w.e);
	crew_add(&crew, receive_until_cancelled, &w);
	until(atomic_load(&w.entered));
	tz_scope_cancel(&w.scope);
	crew_join(&crew);
	assert_int_equal(w.answer, -ECANCELED);
	assert_int_equal(tz_send_bytes(w.e.b, "x", 1), 0);
	assert_int_equal(tz_connection_poll_until(w.e.a, soon()), 0);
	close_ends(&w.e);
}

/* --- several strands ------------------------------------------------------------------------------------------------ */

enum { SENDERS = 3, EACH = 300 };

struct traffic {
	struct ends e;
	_Atomic int next;
	_Atomic int seen[SENDERS][EACH];
};

/* What number k of a sender has, so that what is mixed is found. */
static size_t size_of_number(int k)
{
	return 8 + (size_t)(k * 7919 % 5 == 0 ? 70000 + k : k * 13 % 900);
}

static void *send_numbers(void *arg)
{
	struct traffic *t = arg;
	int me = atomic_fetch_add(&t->next, 1);

	for (int k = 0; k < EACH; k++) {
		size_t size = size_of_number(k);
		unsigned char *data = pattern(size, (unsigned)k);

		memcpy(data, (const int[]){ me, k }, 8);
		must(tz_send_bytes(t->e.a, data, size) == 0);
		free(data);
	}
	return NULL;
}

static void *receive_numbers(void *arg)
{
	struct traffic *t = arg;
	tz_bytes got;
	int e;

	while ((e = tz_recv_bytes(t->e.b, &got)) == 0) {
		int head[2];
		const unsigned char *p = got.data;

		must(got.size >= sizeof head);
		memcpy(head, p, sizeof head);
		must(head[0] >= 0 && head[0] < SENDERS && head[1] >= 0 && head[1] < EACH);
		must(got.size == size_of_number(head[1]));
		for (size_t i = sizeof head; i < got.size; i++)
			must(p[i] == byte_at(i, (unsigned)head[1]));
		atomic_fetch_add(&t->seen[head[0]][head[1]], 1);
		tz_buffer_free((void *)(uintptr_t)got.data);
	}
	must(e == -ENODATA);
	return NULL;
}

static void check_all_seen(struct traffic *t)
{
	for (int s = 0; s < SENDERS; s++)
		for (int k = 0; k < EACH; k++)
			assert_int_equal(atomic_load(&t->seen[s][k]), 1);
}

static void messages_of_several_threads_do_not_mix(void **state)
{
	struct crew senders = { .count = 0 }, receivers = { .count = 0 };
	static struct traffic t;

	(void)state;
	memset(&t, 0, sizeof t);
	open_pipe(&t.e);
	for (int i = 0; i < SENDERS; i++)
		crew_add(&senders, send_numbers, &t);
	for (int i = 0; i < 2; i++)
		crew_add(&receivers, receive_numbers, &t);
	crew_join(&senders);
	tz_connection_close(t.e.a);
	t.e.a = NULL;
	crew_join(&receivers);
	check_all_seen(&t);
	close_ends(&t.e);
}

static void send_numbers_here(struct traffic *t)
{
	(void)send_numbers(t);
}
TZ_TASK(void, send_numbers_here, struct traffic *);

static void receive_numbers_here(struct traffic *t)
{
	(void)receive_numbers(t);
}
TZ_TASK(void, receive_numbers_here, struct traffic *);

static int all_on_one_loop(struct traffic *t)
{
	receive_numbers_here_future r = tz_spawn(receive_numbers_here, t),
				    r2 = tz_spawn(receive_numbers_here, t);
	send_numbers_here_future s[SENDERS];

	for (int i = 0; i < SENDERS; i++)
		s[i] = tz_spawn(send_numbers_here, t);
	for (int i = 0; i < SENDERS; i++)
		must(tz_result(s[i], NULL) == 0);
	tz_connection_close(t->e.a);
	t->e.a = NULL;
	must(tz_result(r, NULL) == 0);
	must(tz_result(r2, NULL) == 0);
	return 0;
}
TZ_TASK(int, all_on_one_loop, struct traffic *);

static void run_on_loop(const tz_loop_options *options)
{
	static struct traffic t;
	int answer = 1;

	memset(&t, 0, sizeof t);
	open_pipe(&t.e);
	assert_int_equal(tz_run_with(options, &answer, all_on_one_loop, &t), 0);
	assert_int_equal(answer, 0);
	check_all_seen(&t);
	close_ends(&t.e);
}

static void messages_of_several_coroutines_do_not_mix(void **state)
{
	(void)state;
	run_on_loop(NULL);
}

static void in_a_simulation_too(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 5; seed++)
		run_on_loop(
			TZ_OPTIONS(tz_loop_options, .backend = "sim", .seed = seed, .delay = 0.5));
}

static int sleepers(struct ends *e)
{
	tz_bytes got;
	char c;
	int r = 0;

	/* Hours in a moment: it is the loop that waits, not the thread. */
	TZ_TIMEOUT(3600)
		r = tz_recv_bytes(e->b, &got);
	if (r != -ETIMEDOUT)
		return 1;
	if (tz_connection_poll_until(e->b, tz_after(3600)) != -ETIMEDOUT)
		return 2;
	if (tz_send_bytes(e->a, "x", 1) < 0)
		return 3;
	return tz_recv_bytes_into(e->b, &c, 1) == 1 ? 0 : 4;
}
TZ_TASK(int, sleepers, struct ends *);

static void deadlines_are_those_of_the_loop(void **state)
{
	struct ends e;
	int answer = -1;

	(void)state;
	open_pipe(&e);
	assert_int_equal(
		tz_run_with(TZ_OPTIONS(tz_loop_options, .backend = "sim"), &answer, sleepers, &e),
		0);
	assert_int_equal(answer, 0);
	close_ends(&e);
}

/* --- descriptors ---------------------------------------------------------------------------------------------------- */

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_ino == sb.st_ino &&
	       sa.st_dev == sb.st_dev;
}

static int file_with(int number)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, number), 0);
	return fd;
}

static void descriptors_come_with_their_message(void **state)
{
	int files[5], got[8], n = -1, before = open_descriptors();
	struct ends e;
	char text[8];

	(void)state;
	for (int i = 0; i < 5; i++)
		files[i] = file_with(i);
	open_pipe(&e);
	assert_int_equal(tz_send_bytes(e.a, "one", 3), 0);
	assert_int_equal(tz_send_fds(e.a, "two", 3, files, 2), 0);
	assert_int_equal(tz_send_bytes(e.a, "three", 5), 0);
	assert_int_equal(tz_send_fds(e.a, NULL, 0, files + 2, 3), 0);
	assert_int_equal(tz_send_fds(e.a, "five", 4, NULL, 0), 0);

	assert_int_equal(tz_recv_fds(e.b, text, sizeof text, got, 8, &n), 3);
	assert_int_equal(n, 0);
	assert_int_equal(tz_recv_fds(e.b, text, sizeof text, got, 1, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	assert_int_equal(tz_recv_fds(e.b, text, sizeof text, got, 8, &n), 3);
	assert_memory_equal(text, "two", 3);
	assert_int_equal(n, 2);
	for (int i = 0; i < 2; i++) {
		assert_true(same_file(got[i], files[i]));
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		(void)close(got[i]);
	}
	assert_int_equal(tz_recv_bytes_into(e.b, text, sizeof text), 5);
	assert_int_equal(tz_recv_bytes_into(e.b, text, sizeof text), 0); /* closes them */
	assert_int_equal(tz_recv_bytes_into(e.b, text, sizeof text), 4);
	close_ends(&e);
	for (int i = 0; i < 5; i++)
		(void)close(files[i]);
	assert_int_equal(open_descriptors(), before);
}

static void *send_with_files(void *arg)
{
	struct traffic *t = arg;
	int file = memfd_create("file", MFD_CLOEXEC);

	for (unsigned i = 0; i < SIZES; i++) {
		void *data = pattern(sizes[i], i);

		must(tz_send_fds(t->e.a, data, sizes[i], &file, 1) == 0);
		must(tz_send_bytes(t->e.a, data, sizes[i]) == 0);
		free(data);
	}
	(void)close(file);
	return NULL;
}

static void messages_of_all_sizes_have_descriptors(void **state)
{
	struct crew crew = { .count = 0 };
	struct tz_connection_terms terms;
	static struct traffic t;
	void *to = malloc(sizes[SIZES - 1]);
	int end;

	assert_non_null(to);
	open_pipe(&t.e);
	if (*state)
		assert_int_equal(tz_connection_depart(t.e.b, &end, &terms), 0);
	crew_add(&crew, send_with_files, &t);
	for (unsigned i = 0; i < 2 * SIZES; i++) {
		int n = -1, fd = -1;

		assert_int_equal(tz_recv_fds(t.e.b, to, sizes[SIZES - 1], &fd, 1, &n),
				 sizes[i / 2]);
		assert_true(is_pattern(to, sizes[i / 2], i / 2));
		assert_int_equal(n, i % 2 == 0);
		if (n == 1)
			assert_int_equal(close(fd), 0);
	}
	crew_join(&crew);
	free(to);
	close_ends(&t.e);
}

static void too_many_descriptors(void **state)
{
	int many[TZ_FDS_IN_MESSAGE + 1], got[TZ_FDS_IN_MESSAGE], n = 0;
	struct ends e;
	char text[1];

	(void)state;
	for (int i = 0; i <= TZ_FDS_IN_MESSAGE; i++)
		many[i] = 0;
	open_pipe(&e);
	assert_int_equal(tz_send_fds(e.a, "x", 1, many, TZ_FDS_IN_MESSAGE + 1), -EINVAL);
	assert_int_equal(tz_send_fds(e.a, "x", 1, many, -1), -EINVAL);
	assert_int_equal(tz_send_fds(e.a, "x", 1, (const int[]){ 9999 }, 1), -EBADF);
	assert_int_equal(tz_send_fds(e.a, "x", 1, many, TZ_FDS_IN_MESSAGE), 0);
	assert_int_equal(tz_recv_fds(e.b, text, 1, got, TZ_FDS_IN_MESSAGE, &n), 1);
	assert_int_equal(n, TZ_FDS_IN_MESSAGE);
	while (n > 0)
		(void)close(got[--n]);
	close_ends(&e);
}

/* A process that has no room for them gets the message all the same. */
static void descriptors_that_cannot_be_opened(void **state)
{
	int got[8], n = -1, before;
	struct rlimit limit;
	struct ends e;
	char text[8];

	(void)state;
	open_pipe(&e);
	before = open_descriptors();
	assert_int_equal(tz_send_fds(e.a, "two", 3, (const int[]){ 0, 1, 2 }, 3), 0);
	limit = allow_one_more();
	assert_int_equal(tz_recv_fds(e.b, text, sizeof text, got, 8, &n), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(tz_recv_fds(e.b, text, sizeof text, got, 8, &n), 3);
	assert_memory_equal(text, "two", 3);
	assert_int_equal(n, 0);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(tz_send_fds(e.a, "two", 3, (const int[]){ 0 }, 1),
			 0); /* and the next one is as ever */
	assert_int_equal(tz_recv_fds(e.b, text, sizeof text, got, 8, &n), 3);
	assert_int_equal(n, 1);
	(void)close(got[0]);
	close_ends(&e);
}

/* Descriptors that no frame speaks of, again and again. */
static void descriptors_out_of_place(void **state)
{
	int before = open_descriptors(), e_code;
	struct ends e;
	tz_bytes got;

	(void)state;
	open_raw(&e, 0);
	for (int i = 0; i < 3; i++) {
		union {
			struct cmsghdr header;
			char room[CMSG_SPACE(sizeof(int))];
		} control = { .room = { 0 } };
		unsigned char frame[] = { 0, 0, 0, 1, 'x' };
		struct iovec io = { frame, sizeof frame };
		struct msghdr m = { .msg_iov = &io,
				    .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof control.room };

		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
						   .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &e.raw, sizeof(int));
		assert_int_equal(sendmsg(e.raw, &m, 0), sizeof frame);
	}
	assert_int_equal(tz_recv_bytes(e.a, &got), 0);
	tz_buffer_free((void *)(uintptr_t)got.data);
	e_code = tz_recv_bytes(e.a, &got);
	assert_int_equal(e_code, -EPROTO);
	close_ends(&e);
	assert_int_equal(open_descriptors(), before);
}

static void a_connection_goes_through_a_connection(void **state)
{
	struct ends outer, inner;
	tz_connection *again;
	int fd, n = 0;
	char text[8];

	(void)state;
	open_pipe(&outer);
	open_pipe(&inner);
	assert_int_equal(
		tz_send_fds(outer.a, NULL, 0, (const int[]){ tz_connection_fd(inner.b) }, 1), 0);
	tz_connection_close(inner.b);
	inner.b = NULL;
	assert_int_equal(tz_recv_fds(outer.b, NULL, 0, &fd, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(tz_connection_open(&again, fd, NULL), 0);
	assert_int_equal(tz_send_bytes(inner.a, "hello", 5), 0);
	assert_int_equal(tz_recv_bytes_into(again, text, sizeof text), 5);
	tz_connection_close(again);
	assert_int_equal(tz_recv_bytes_into(inner.a, text, sizeof text), -ENODATA);
	close_ends(&inner);
	close_ends(&outer);
}

/* --- to another process ---------------------------------------------------------------------------------------------- */

static void a_handle_is_known(void **state)
{
	struct ends e;

	(void)state;
	open_pipe(&e);
	assert_true(tz_connection_is(e.a));
	assert_true(tz_connection_is(e.b));
	assert_false(tz_connection_is(NULL));
	assert_false(tz_connection_is(&e));
	assert_false(tz_connection_is((const char *)e.a + 1));
	tz_connection_close(e.a);
	assert_false(tz_connection_is(e.a));
	e.a = NULL;
	close_ends(&e);
}

static void a_handle_departs_and_arrives(void **state)
{
	struct tz_connection_terms terms, bad;
	tz_connection *there = NULL;
	struct ends e;
	char text[8];
	int fd;

	(void)state;
	open_pipe(&e);
	tz_connection_set_limit(e.b, 100);
	assert_int_equal(tz_send_bytes(e.a, "one", 3), 0);
	assert_int_equal(tz_send_bytes(e.a, "two", 3), 0);
	assert_int_equal(tz_connection_depart(e.b, &fd, &terms), 0);
	bad = terms;
	bad.ways |= 4;
	assert_int_equal(tz_connection_arrive(&there, fd, &bad, false), -EPROTO);
	assert_int_equal(tz_connection_arrive(&there, dup(fd), &terms, false), 0);
	/* Each takes what it receives, and no more. */
	assert_int_equal(tz_recv_bytes_into(there, text, sizeof text), 3);
	assert_memory_equal(text, "one", 3);
	assert_int_equal(tz_connection_depart(there, &fd, &terms), 0);
	assert_true(terms.max_message == 100);
	tz_connection_close(there);
	assert_int_equal(tz_recv_bytes_into(e.b, text, sizeof text), 3);
	assert_memory_equal(text, "two", 3);
	/* What has been read ahead cannot go along. */
	assert_int_equal(tz_send_bytes(e.b, "one", 3), 0);
	assert_int_equal(tz_send_bytes(e.b, "two", 3), 0);
	assert_int_equal(tz_recv_bytes_into(e.a, text, sizeof text), 3);
	assert_int_equal(tz_connection_depart(e.a, &fd, &terms), -EBUSY);
	assert_int_equal(tz_recv_bytes_into(e.a, text, sizeof text), 3);
	assert_int_equal(tz_connection_depart(e.a, &fd, &terms), 0);
	close_ends(&e);
}

static tz_connection *arrived(const struct ends *e)
{
	struct tz_connection_terms terms;
	tz_connection *c;
	int fd;

	assert_int_equal(tz_connection_depart(e->b, &fd, &terms), 0);
	assert_int_equal(tz_connection_arrive(&c, dup(fd), &terms, true), 0);
	return c;
}

static void what_a_task_got_ends_with_it(void **state)
{
	int before = open_descriptors();
	tz_connection *left, *closed, *kept, *kept_closed;
	struct ends e;

	(void)state;
	open_pipe(&e);
	left = arrived(&e);
	closed = arrived(&e);
	kept = arrived(&e);
	kept_closed = arrived(&e);
	tz_connection_close(closed);
	assert_int_equal(open_descriptors(), before + 5);
	assert_int_equal(tz_send_bytes(closed, "x", 1),
			 -EBADF); /* closed is closed, though the memory is there */
	tz_connection_keep(kept);
	tz_connection_keep(kept_closed);
	tz_connection_close(kept_closed);
	tz_connection_task_over(left);
	tz_connection_task_over(closed);
	tz_connection_task_over(kept);
	tz_connection_task_over(kept_closed);
	assert_int_equal(open_descriptors(), before + 3);
	assert_int_equal(tz_send_bytes(kept, "x", 1), 0);
	tz_connection_keep(e.a); /* nobody's task */
	tz_connection_close(kept);
	close_ends(&e);
	assert_int_equal(open_descriptors(), before);
}

/* Several processes through one end: what is small does not mix. */
static void processes_share_an_end(void **state)
{
	enum { CHILDREN = 3, MESSAGES = 200, SIZE = 30000 };
	pid_t children[CHILDREN];
	int seen[CHILDREN] = { 0 };
	struct ends e;
	tz_bytes got;

	(void)state;
	open_pipe(&e);
	for (int k = 0; k < CHILDREN; k++) {
		children[k] = fork();
		assert_true(children[k] >= 0);
		if (children[k] == 0) {
			void *data = pattern(SIZE, (unsigned)k);

			for (int i = 0; i < MESSAGES; i++)
				must(tz_send_bytes(e.a, data, (size_t)SIZE - (size_t)k) == 0);
			_exit(0);
		}
	}
	tz_connection_close(e.a);
	e.a = NULL;
	while (tz_recv_bytes(e.b, &got) == 0) {
		size_t k = SIZE - got.size;

		assert_true(k < CHILDREN);
		assert_true(is_pattern(got.data, got.size, (unsigned)k));
		seen[k]++;
		tz_buffer_free((void *)(uintptr_t)got.data);
	}
	for (int k = 0; k < CHILDREN; k++) {
		int status;

		assert_int_equal(waitpid(children[k], &status, 0), children[k]);
		assert_int_equal(status, 0);
		assert_int_equal(seen[k], MESSAGES);
	}
	close_ends(&e);
}

/* --- several things --------------------------------------------------------------------------------------------------- */

static void what_is_ready_is_told(void **state)
{
	struct ends e, f;
	int event = eventfd(0, EFD_CLOEXEC);
	tz_ready things[4] = { { .ready = true } };

	(void)state;
	open_pipe(&e);
	open_raw(&f, 0);
	things[0].connection = e.b;
	things[1].connection = f.a;
	things[2].fd = event;
	things[3] = (tz_ready){ .fd = event, .events = POLLOUT };
	assert_int_equal(tz_wait_ready(things, 4, soon()), 1); /* it can be written */
	assert_true(!things[0].ready && !things[1].ready && !things[2].ready && things[3].ready);
	assert_int_equal(tz_wait_ready(things, 3, tz_after(0.001)), -ETIMEDOUT);
	TZ_TIMEOUT(0.001)
		assert_int_equal(tz_wait_ready(things, 3, tz_never()), -ETIMEDOUT);
	/* A part of a message is no message. */
	write_all(f.raw, "\0\0\0\3ab", 6);
	assert_int_equal(tz_wait_ready(things, 3, tz_after(0.001)), -ETIMEDOUT);
	assert_int_equal(tz_send_bytes(e.a, "x", 1), 0);
	assert_int_equal(tz_wait_ready(things, 3, soon()), 1);
	assert_true(things[0].ready && !things[1].ready && !things[2].ready);
	write_all(f.raw, "c", 1);
	assert_int_equal(tz_wait_ready(things, 3, soon()), 2);
	assert_true(things[0].ready && things[1].ready && !things[2].ready);
	/* What has been read ahead counts, too. */
	assert_int_equal(tz_wait_ready(things, 1, soon()), 1);
	assert_int_equal(eventfd_write(event, 1), 0);
	assert_int_equal(tz_wait_ready(things + 2, 1, soon()), 1);
	assert_true(things[2].ready);
	close_ends(&e);
	close_ends(&f);
	(void)close(event);
}

static void what_cannot_be_waited_for(void **state)
{
	struct ends e;
	tz_ready things[2] = { { .fd = -1 }, { .fd = 9999 } };

	(void)state;
	assert_int_equal(tz_wait_ready(things, 0, soon()), -EINVAL);
	assert_int_equal(tz_wait_ready(things, 1, soon()), -EBADF);
	assert_int_equal(tz_wait_ready(things + 1, 1, soon()), -EBADF);
	assert_int_equal(tz_pipe(&e.a, &e.b, TZ_ONE_WAY), 0);
	things[0].connection = e.b;
	assert_int_equal(tz_wait_ready(things, 1, soon()), -EBADF);
	tz_connection_close(e.a);
	tz_connection_close(e.b);
}

struct late {
	struct ends e[40];
	int which;
};

static void *send_late(void *arg)
{
	struct late *l = arg;

	(void)tz_sleep(0.005);
	if (l->which % 2)
		tz_connection_close(l->e[l->which].a);
	else
		must(tz_send_bytes(l->e[l->which].a, "x", 1) == 0);
	return NULL;
}

/* Of many, also of one that comes twice; a message or the end. */
static void one_of_many_wakes(void **state)
{
	enum { MANY = 40 };
	static struct late l;
	tz_ready things[MANY + 2];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		open_pipe(&l.e[i]);
		things[i] = (tz_ready){ .connection = l.e[i].b };
	}
	things[MANY] = things[7];
	things[MANY + 1] = things[8];
	for (l.which = 8; l.which >= 7; l.which--) {
		struct crew crew = { .count = 0 };
		char got;

		crew_add(&crew, send_late, &l);
		int n = tz_wait_ready(things, MANY + 2, soon()), marked = 0;

		crew_join(&crew);
		/* One, if it came between the kernel's looks at the first and at the second. */
		assert_in_range(n, 1, 2);
		for (int i = 0; i < MANY + 2; i++) {
			marked += things[i].ready;
			assert_true(!things[i].ready || (i < MANY ? i : i - MANY + 7) == l.which);
		}
		assert_int_equal(marked, n);
		assert_int_equal(tz_recv_bytes_into(l.e[l.which].b, &got, 1),
				 l.which == 8 ? 1 : -ENODATA);
	}
	l.e[7].a = NULL;
	for (int i = 0; i < MANY; i++)
		close_ends(&l.e[i]);
}

static int three_on_a_loop(struct late *l)
{
	tz_ready things[3] = { { .connection = l->e[0].b },
			       { .connection = l->e[1].b },
			       { .connection = l->e[2].b } };

	if (tz_wait_ready(things, 3, tz_after(3600)) != -ETIMEDOUT)
		return 1;
	if (tz_send_bytes(l->e[1].a, "x", 1) < 0)
		return 2;
	if (tz_wait_ready(things, 3, tz_after(3600)) != 1)
		return 3;
	return things[1].ready && !things[0].ready && !things[2].ready ? 0 : 4;
}
TZ_TASK(int, three_on_a_loop, struct late *);

static void coroutines_wait_for_several_too(void **state)
{
	static struct late l;
	int answer = -1;

	(void)state;
	for (int i = 0; i < 3; i++)
		open_pipe(&l.e[i]);
	assert_int_equal(tz_run_with(TZ_OPTIONS(tz_loop_options, .backend = "sim"), &answer,
				     three_on_a_loop, &l),
			 0);
	assert_int_equal(answer, 0);
	for (int i = 0; i < 3; i++)
		close_ends(&l.e[i]);
}

static void nothing(void)
{
}
TZ_TASK(void, nothing, void);

static void a_process_that_ends_is_ready(void **state)
{
	struct ends e;
	tz_process *p;
	tz_ready things[2];

	(void)state;
	if (!PROCESSES || BUILT_FOR_SANITIZER)
		skip();
	open_pipe(&e);
	assert_int_equal(tz_process_open(&p, nothing), 0);
	things[0] = (tz_ready){ .connection = e.b };
	things[1] = (tz_ready){ .fd = tz_process_sentinel(p) };
	assert_int_equal(tz_wait_ready(things, 2, soon()), 1);
	assert_true(things[1].ready);
	assert_int_equal(tz_process_join(p), 0);
	tz_process_close(p);
	close_ends(&e);
}

int main(void)
{
	static int exact;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_is_received),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(an_empty_message_is_one),
		cmocka_unit_test(one_way_is_one_way),
		cmocka_unit_test(all_sizes),
		{ "all_sizes_without_reading_ahead", all_sizes, NULL, NULL, &exact },
		cmocka_unit_test(all_sizes_into_memory),
		cmocka_unit_test(what_was_polled_can_go_into_memory),
		cmocka_unit_test(items),
		cmocka_unit_test(values),
		cmocka_unit_test(frames_are_those_of_python),
		cmocka_unit_test(frames_may_come_in_pieces),
		cmocka_unit_test(what_is_no_frame_is_refused),
		cmocka_unit_test(more_than_the_limit_is_refused_and_not_lost),
		cmocka_unit_test(a_huge_length_is_only_a_length),
		cmocka_unit_test(more_than_2_gib),
		cmocka_unit_test(the_end_comes_after_what_was_sent),
		cmocka_unit_test(the_end_in_the_middle_is_another_one),
		cmocka_unit_test(pipes_of_the_system),
		cmocka_unit_test(what_is_no_stream_is_refused),
		cmocka_unit_test(nothing_stays_open),
		cmocka_unit_test(a_receive_that_ends_early_goes_on_later),
		cmocka_unit_test(a_receive_into_memory_keeps_what_it_has),
		cmocka_unit_test(a_send_that_ends_early_has_sent_nothing),
		cmocka_unit_test(a_send_that_is_cut_off_is_told_to_the_peer),
		cmocka_unit_test(a_send_into_a_pipe_is_cut_off_too),
		cmocka_unit_test(what_need_not_wait_is_done),
		cmocka_unit_test(a_wait_can_be_cancelled),
		cmocka_unit_test(messages_of_several_threads_do_not_mix),
		cmocka_unit_test(messages_of_several_coroutines_do_not_mix),
		cmocka_unit_test(in_a_simulation_too),
		cmocka_unit_test(deadlines_are_those_of_the_loop),
		cmocka_unit_test(descriptors_come_with_their_message),
		cmocka_unit_test(messages_of_all_sizes_have_descriptors),
		{ "descriptors_without_reading_ahead", messages_of_all_sizes_have_descriptors, NULL,
		  NULL, &exact },
		cmocka_unit_test(too_many_descriptors),
		cmocka_unit_test(descriptors_that_cannot_be_opened),
		cmocka_unit_test(descriptors_out_of_place),
		cmocka_unit_test(a_connection_goes_through_a_connection),
		cmocka_unit_test(a_handle_is_known),
		cmocka_unit_test(a_handle_departs_and_arrives),
		cmocka_unit_test(what_a_task_got_ends_with_it),
		cmocka_unit_test(processes_share_an_end),
		cmocka_unit_test(what_is_ready_is_told),
		cmocka_unit_test(what_cannot_be_waited_for),
		cmocka_unit_test(one_of_many_wakes),
		cmocka_unit_test(coroutines_wait_for_several_too),
		cmocka_unit_test(a_process_that_ends_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
