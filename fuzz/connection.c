/* Fuzzes what a connection receives: whatever the bytes are, however they are cut into pieces, and in whatever way they are received, the messages are those that a simple
 * reading of the frames finds, and then the end that it finds.
 *
 * The first byte says how to receive, the second how long the pieces are. --seeds=FOLDER writes bytes to begin with. */
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <trenza.h>

#include "seeds.h"
#include "shared/connection.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INTO = 1, ASK_SIZE = 2, EXACT = 4, SMALL_LIMIT = 8, WITH_FDS = 16, POLL = 32 };

/* What there is to be received, by the simple reading. */
struct reading {
	const uint8_t *at;
	size_t left, limit;
};

static uint64_t number(const uint8_t *p, int n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* The next message's size, and its bytes are at r->at; or how it ends. */
static int64_t next(struct reading *r)
{
	size_t head = 4;
	uint64_t size;
	int32_t code;

	if (r->left < 4)
		return r->left ? -ECONNRESET : -ENODATA;
	code = (int32_t)(uint32_t)number(r->at, 4);
	size = (uint64_t)code;
	if (code < -2)
		return -EPROTO;
	if (code < 0) {
		head = code == -1 ? 12 : 16;
		if (r->left < head)
			return -ECONNRESET;
		size = number(r->at + head - 8, 8);
		if (size > PTRDIFF_MAX ||
		    (code == -2 && number(r->at + 4, 4) != 0)) /* no descriptors have come */
			return -EPROTO;
	}
	if (size > r->limit)
		return -EMSGSIZE;
	if (size > r->left - head)
		return -ECONNRESET;
	r->at += head;
	r->left -= head + size;
	return (int64_t)size;
}

static int64_t receive(tz_connection *c, int how, uint8_t *to, size_t room)
{
	int fds[4], n = -1, e;
	tz_bytes got;
	size_t size;

	if (how & POLL)
		MUST(tz_connection_poll(c) == 1);
	if (how & ASK_SIZE) {
		e = tz_recv_size(c, &size);
		if (e < 0)
			return e;
	}
	if (how & WITH_FDS)
		return tz_recv_fds(c, to, room, fds, 4, &n);
	if (how & INTO)
		return tz_recv_bytes_into(c, to, room);
	e = tz_recv_bytes(c, &got);
	if (e < 0)
		return e;
	MUST(got.size <= room);
	if (got.size > 0)
		memcpy(to, got.data, got.size);
	tz_buffer_free((void *)(uintptr_t)got.data);
	return (int64_t)got.size;
}

static void run(tz_connection *c, int peer, int how, size_t piece, struct reading *r)
{
	static uint8_t to[100000];
	const uint8_t *data = r->at;
	size_t size = r->left;
	int64_t wanted, got;

	for (size_t sent = 0; sent < size;) {
		size_t n = size - sent < piece ? size - sent : piece;

		MUST(send(peer, data + sent, n, MSG_NOSIGNAL) == (ssize_t)n);
		sent += n;
		MUST(tz_connection_poll(c) >= 0);
	}
	(void)close(peer);
	do {
		const uint8_t *before = r->at;

		wanted = next(r);
		got = receive(c, how, to, sizeof to);
		MUST(got == wanted);
		if (wanted > 0)
			MUST(memcmp(to, r->at, (size_t)wanted) == 0);
		if (wanted >= 0)
			r->at += wanted;
		MUST(wanted < 0 || r->at > before);
	} while (wanted >= 0);
	MUST(receive(c, how, to, sizeof to) == wanted); /* and so it stays */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tz_connection_terms terms;
	struct reading r;
	tz_connection *c;
	int fds[2], fd;

	if (size < 2)
		return 0;
	r = (struct reading){ data + 2, size - 2, data[0] & SMALL_LIMIT ? 5 : 100000 };
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	MUST(tz_connection_open(&c, fds[0],
				TZ_OPTIONS(tz_connection_options, .max_message = r.limit)) == 0);
	if (data[0] & EXACT)
		MUST(tz_connection_depart(c, &fd, &terms) == 0);
	run(c, fds[1], data[0], data[1] + (size_t)1, &r);
	tz_connection_close(c);
	return 0;
}

/* --- seeds -------------------------------------------------------------------------------------------------------- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char frames[] =
		"\0\0\0\3abc\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\2xy\xff\xff\xff\xfe\0\0\0\0\0\0\0\0\0\0\0\1z";
	const char *folder = seeds_folder(*argc, *argv);

	if (!folder)
		return 0;
	for (int how = 0; how < 64; how++) {
		const char head[2] = { (char)how, (char)(how * 3) };

		write_seed(folder, (unsigned)how, head, sizeof head, frames,
			   sizeof frames - 1 - (size_t)(how % 5));
	}
	exit(0);
}
