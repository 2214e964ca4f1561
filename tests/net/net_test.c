/* Listeners and clients: the handshake, addresses, and peers that mean no good. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

#include <trenza.h>
#include <trenza/net.h>

#include "check.h"
#include "crew.h"
#include "descriptors.h"
#include "handshake.h"

static const char key[] = "a secret";
#define WITH_KEY(...) TZ_OPTIONS(tz_net_options, .key = key, .key_size = sizeof key, __VA_ARGS__)

/* --- the handshake by itself -------------------------------------------------------------------------------------- */

/* Lets two sides talk: how each of them ended. */
static void converse(struct handshake *l, struct handshake *c, int *ret_l, int *ret_c)
{
	int rl = 0, rc = 0;

	for (int turn = 0; turn < 10 && (rl == 0 || rc == 0); turn++) {
		unsigned char message[HANDSHAKE_MESSAGE_MAX];
		struct handshake *from = turn % 2 ? c : l, *to = turn % 2 ? l : c;
		size_t n = from->out_size;

		if (n == 0)
			continue;
		memcpy(message, from->out, n);
		from->out_size = 0;
		*(turn % 2 ? &rl : &rc) = handshake_take(to, message, n);
	}
	*ret_l = rl;
	*ret_c = rc;
}

static void both_sides_prove_themselves(void **state)
{
	(void)state;
	for (tz_digest d = TZ_DIGEST_DEFAULT; d <= TZ_DIGEST_SHA3_384; d++) {
		struct handshake l, c;
		int rl, rc;

		assert_int_equal(handshake_begin(&l, TZ_HANDSHAKE_LISTENER, key, sizeof key, d), 0);
		assert_int_equal(handshake_begin(&c, TZ_HANDSHAKE_CLIENT, key, sizeof key, d), 0);
		converse(&l, &c, &rl, &rc);
		assert_int_equal(rl, 1);
		assert_int_equal(rc, 1);
	}
}

static void one_side_has_another_key(void **state)
{
	struct handshake l, c;
	int rl, rc;

	(void)state;
	assert_int_equal(
		handshake_begin(&l, TZ_HANDSHAKE_LISTENER, key, sizeof key, TZ_DIGEST_DEFAULT), 0);
	assert_int_equal(handshake_begin(&c, TZ_HANDSHAKE_CLIENT, key + 1, sizeof key - 1,
					 TZ_DIGEST_DEFAULT),
			 0);
	converse(&l, &c, &rl, &rc);
	assert_int_equal(rl, -EKEYREJECTED);
	assert_int_equal(rc, -EKEYREJECTED);
}

static int answered(const char *answer, size_t size, tz_digest min, unsigned char *out)
{
	struct handshake l;
	int r;

	must(handshake_begin(&l, TZ_HANDSHAKE_LISTENER, key, sizeof key, min) == 0);
	r = handshake_take(&l, (const unsigned char *)answer, size);
	memcpy(out, l.out, 9);
	return r;
}

static void wrong_answers(void **state)
{
	char md5[16] = { 0 }, sha256[8 + 32] = "{sha256}", unknown[] = "{md4}0123456789012345",
	     large[300] = { 0 };
	unsigned char out[9];

	(void)state;
	assert_int_equal(answered(sha256, sizeof sha256, TZ_DIGEST_DEFAULT, out), -EKEYREJECTED);
	assert_memory_equal(out, "#FAILURE#", 9);
	assert_int_equal(answered(sha256, sizeof sha256 - 1, TZ_DIGEST_DEFAULT, out),
			 -EKEYREJECTED);
	assert_int_equal(answered(sha256, 8, TZ_DIGEST_DEFAULT, out), -EKEYREJECTED);
	assert_int_equal(answered(sha256, sizeof sha256, TZ_DIGEST_SHA384, out), -EPROTONOSUPPORT);
	assert_int_equal(answered(md5, sizeof md5, TZ_DIGEST_DEFAULT, out), -EPROTONOSUPPORT);
	assert_int_equal(answered(md5, sizeof md5, TZ_DIGEST_MD5, out), -EKEYREJECTED);
	assert_int_equal(answered(unknown, sizeof unknown, TZ_DIGEST_MD5, out), -EPROTONOSUPPORT);
	assert_int_equal(answered("", 0, TZ_DIGEST_MD5, out), -EPROTONOSUPPORT);
	assert_int_equal(answered(large, sizeof large, TZ_DIGEST_MD5, out), -EMSGSIZE);
}

static int challenged(const char *message, size_t size, tz_digest min)
{
	struct handshake c;
	int r;

	must(handshake_begin(&c, TZ_HANDSHAKE_CLIENT, key, sizeof key, min) == 0);
	r = handshake_take(&c, (const unsigned char *)message, size);
	return r;
}

static void wrong_challenges(void **state)
{
	char old[11 + 20] = "#CHALLENGE#", sha256[59] = "#CHALLENGE#{sha256}";

	(void)state;
	assert_int_equal(challenged(sha256, sizeof sha256, TZ_DIGEST_DEFAULT), 0);
	assert_int_equal(challenged(sha256, sizeof sha256, TZ_DIGEST_SHA384), -EPROTONOSUPPORT);
	assert_int_equal(challenged(old, sizeof old, TZ_DIGEST_DEFAULT), -EPROTONOSUPPORT);
	assert_int_equal(challenged(old, sizeof old, TZ_DIGEST_MD5), 0);
	assert_int_equal(challenged(old, 11, TZ_DIGEST_MD5), -EPROTONOSUPPORT);
	assert_int_equal(challenged(old, 10, TZ_DIGEST_MD5), -EPROTO);
	assert_int_equal(challenged("#WELCOME#", 9, TZ_DIGEST_MD5), -EPROTO);
	assert_int_equal(challenged("", 0, TZ_DIGEST_MD5), -EPROTO);
}

/* --- by sockets ---------------------------------------------------------------------------------------------------- */

struct call {
	const char *address;
	const tz_net_options *options;
	int answer;
};

/* Connects, sends a message, and has it back. */
static void *connect_and_talk(void *arg)
{
	struct call *call = arg;
	tz_connection *c;
	char got[8];

	call->answer = tz_net_connect(&c, call->address, call->options);
	if (call->answer < 0)
		return NULL;
	must(tz_send_bytes(c, "hello", 5) == 0);
	must(tz_recv_bytes_into(c, got, sizeof got) == 5);
	tz_connection_close(c);
	return NULL;
}

static void serve_one(tz_listener *l)
{
	tz_connection *c = NULL;
	char got[8];

	TZ_TIMEOUT(CREW_PATIENCE) {
		assert_int_equal(tz_listener_accept(l, &c), 0);
		assert_int_equal(tz_recv_bytes_into(c, got, sizeof got), 5);
		assert_int_equal(tz_send_bytes(c, got, 5), 0);
		assert_int_equal(tz_recv_bytes_into(c, got, sizeof got), -ENODATA);
	}
	tz_connection_close(c);
}

static void path_of(char *to, const char *name)
{
	(void)snprintf(to, 100, "/tmp/trenza-net-%d-%s", (int)getpid(), name);
}

static void over_all_kinds_of_sockets(void **state)
{
	char path[100], name[100];
	const char *addresses[] = { "127.0.0.1:0", "localhost:0", path, name };
	int before = open_descriptors();

	(void)state;
	path_of(path, "all");
	(void)snprintf(name, sizeof name, "@trenza-net-%d", (int)getpid());
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
		for (int with_key = 0; with_key < 2; with_key++) {
			const tz_net_options *o = with_key ? WITH_KEY(.size = 0) : NULL;
			struct crew crew = { .count = 0 };
			struct call call = { .options = o };
			tz_listener *l;

			assert_int_equal(tz_listener_open(&l, addresses[i], o), 0);
			call.address = tz_listener_address(l);
			crew_add(&crew, connect_and_talk, &call);
			serve_one(l);
			crew_join(&crew);
			assert_int_equal(call.answer, 0);
			assert_int_equal(tz_listener_refused(l, NULL), 0);
			tz_listener_close(l);
		}
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(open_descriptors(), before);
}

static void ipv6(void **state)
{
	struct crew crew = { .count = 0 };
	struct call call = { .options = WITH_KEY(.size = 0) };
	tz_listener *l;

	(void)state;
	if (tz_listener_open(&l, "[::1]:0", call.options) < 0)
		skip(); /* a machine without it */
	call.address = tz_listener_address(l);
	assert_memory_equal(call.address, "[::1]:", 6);
	crew_add(&crew, connect_and_talk, &call);
	serve_one(l);
	crew_join(&crew);
	tz_listener_close(l);
}

static void addresses_that_are_none(void **state)
{
	static const char *const bad[] = { "",       "localhost", ":80", "a:", "a:b",  "a:65536",
					   "::1:80", "[]:80",     "@",   "/",  "a:80x" };
	char long_path[200];
	tz_connection *c = NULL;
	tz_listener *l = NULL;

	(void)state;
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[0] = '/';
	long_path[sizeof long_path - 1] = 0;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(tz_listener_open(&l, bad[i], NULL), -EINVAL);
		assert_int_equal(tz_net_connect(&c, bad[i], NULL), -EINVAL);
	}
	assert_int_equal(tz_listener_open(&l, long_path, NULL), -EINVAL);
	assert_int_equal(
		tz_listener_open(&l, "127.0.0.1:0", TZ_OPTIONS(tz_net_options, .key_size = 3)),
		-EINVAL);
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0",
					  TZ_OPTIONS(tz_net_options, .min_digest = (tz_digest)9)),
			 -EINVAL);
	assert_int_equal(tz_net_connect(&c, "@trenza-nobody-is-here", NULL), -ECONNREFUSED);
	assert_int_equal(tz_net_connect(&c, "/tmp/trenza/nobody/is/here", NULL), -ENOENT);
	assert_null(l);
	assert_null(c);
	tz_listener_close(NULL);
}

static void the_file_of_another_is_not_removed(void **state)
{
	tz_listener *first, *second = NULL;
	char path[100];

	(void)state;
	path_of(path, "file");
	assert_int_equal(tz_listener_open(&first, path, NULL), 0);
	assert_int_equal(tz_listener_open(&second, path, NULL), -EADDRINUSE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(tz_listener_open(&second, path, NULL), 0);
	tz_listener_close(first);
	assert_int_equal(access(path, F_OK), 0);
	tz_listener_close(second);
	assert_int_equal(access(path, F_OK), -1);
}

/* --- peers that mean no good ---------------------------------------------------------------------------------------- */

/* A plain socket, connected to a listener of TCP. */
static int raw_peer(const tz_listener *l)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)atoi(
					  strrchr(tz_listener_address(l), ':') + 1)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = CREW_PATIENCE };

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

/* Accepts until somebody has been refused: why. */
static int refused_by(tz_listener *l, size_t wanted)
{
	int last = 0;

	for (tz_deadline end = soon(); tz_listener_refused(l, &last) < wanted;) {
		tz_connection *c;

		assert_false(tz_expired(end));
		TZ_TIMEOUT(0.01)
			assert_int_equal(tz_listener_accept(l, &c), -ETIMEDOUT);
	}
	assert_int_equal(tz_listener_refused(l, &last), wanted);
	return last;
}

static void garbage_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		int why;
	} peers[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 18, -EMSGSIZE }, /* a length of 1195725856 */
		{ "\0\0\0\0", 4, -EPROTONOSUPPORT },
		{ "\0\0\1\1", 4, -EMSGSIZE },
		{ "\x7f\xff\xff\xff", 4, -EMSGSIZE },
		{ "\xff\xff\xff\xff\0\0\1\0\0\0\0\0", 12, -EMSGSIZE },
		{ "\xff\xff\xff\xfe\0\0\0\1\0\0\0\0\0\0\0\1", 16,
		  -EPROTO }, /* descriptors, over TCP */
		{ "\x80\0\0\0", 4, -EPROTO },
		{ "\0\0\0\x09#WELCOME#", 13, -EPROTONOSUPPORT },
	};
	int before = open_descriptors();
	tz_listener *l;

	(void)state;
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0", WITH_KEY(.size = 0)), 0);
	for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
		int fd = raw_peer(l);

		assert_int_equal(send(fd, peers[i].bytes, peers[i].size, MSG_NOSIGNAL),
				 peers[i].size);
		assert_int_equal(refused_by(l, i + 1), peers[i].why);
		(void)close(fd);
	}
	int fd = raw_peer(l);
	(void)close(fd);
	int why = refused_by(l, sizeof peers / sizeof *peers + 1);
	assert_true(why == -ENODATA || why == -ECONNRESET || why == -EPIPE);
	tz_listener_close(l);
	assert_int_equal(open_descriptors(), before);
}

static void a_silent_peer_keeps_nobody_waiting(void **state)
{
	struct crew crew = { .count = 0 };
	struct call call = { .options = WITH_KEY(.size = 0) };
	tz_listener *l;
	int silent[3], slow;

	(void)state;
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0", WITH_KEY(.handshake_seconds = 3600)),
			 0);
	for (int i = 0; i < 3; i++)
		silent[i] = raw_peer(l);
	slow = raw_peer(l);
	assert_int_equal(send(slow, "\0\0", 2, MSG_NOSIGNAL), 2);
	call.address = tz_listener_address(l);
	crew_add(&crew, connect_and_talk, &call);
	serve_one(l);
	crew_join(&crew);
	assert_int_equal(call.answer, 0);
	assert_int_equal(tz_listener_refused(l, NULL), 0);
	tz_listener_close(l);
	for (int i = 0; i < 3; i++)
		(void)close(silent[i]);
	(void)close(slow);
}

static void who_takes_too_long_is_refused(void **state)
{
	tz_listener *l;
	char drop[64];
	int fd;

	(void)state;
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0", WITH_KEY(.handshake_seconds = 0.02)),
			 0);
	fd = raw_peer(l);
	/* One byte now and then does not help. */
	assert_int_equal(send(fd, "\0", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(refused_by(l, 1), -ETIME);
	while (recv(fd, drop, sizeof drop, 0) > 0)
		; /* the challenge, and the end */
	(void)close(fd);
	tz_listener_close(l);
}

static void for_one_more_the_oldest_goes(void **state)
{
	tz_listener *l;
	int fds[4];

	(void)state;
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0",
					  WITH_KEY(.max_pending = 3, .handshake_seconds = 3600)),
			 0);
	for (int i = 0; i < 4; i++)
		fds[i] = raw_peer(l);
	assert_int_equal(refused_by(l, 1), -EUSERS);
	char drop[64];
	while (recv(fds[0], drop, sizeof drop, 0) > 0)
		;
	for (int i = 0; i < 4; i++)
		(void)close(fds[i]);
	tz_listener_close(l);
}

static void connections_are_limited(void **state)
{
	tz_connection *c[3] = { NULL }, *accepted[2], *none;
	tz_listener *l;

	(void)state;
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0",
					  TZ_OPTIONS(tz_net_options, .max_connections = 2)),
			 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tz_net_connect(&c[i], tz_listener_address(l), NULL), 0);
		assert_int_equal(tz_listener_accept(l, &accepted[i]), 0);
	}
	assert_int_equal(tz_net_connect(&c[2], tz_listener_address(l), NULL), 0);
	TZ_TIMEOUT(0.05)
		assert_int_equal(tz_listener_accept(l, &none), -ETIMEDOUT);
	assert_int_equal(refused_by(l, 1), -EUSERS);
	tz_connection_close(c[2]);
	tz_connection_close(accepted[0]); /* makes room */
	assert_int_equal(tz_net_connect(&c[2], tz_listener_address(l), NULL), 0);
	assert_int_equal(tz_listener_accept(l, &accepted[0]), 0);
	tz_listener_close(l); /* before its connections */
	assert_int_equal(tz_send_bytes(c[2], "x", 1), 0);
	assert_int_equal(tz_connection_poll_until(accepted[0], soon()), 0);
	for (int i = 0; i < 3; i++)
		tz_connection_close(c[i]);
	tz_connection_close(accepted[0]);
	tz_connection_close(accepted[1]);
}

static void long_messages_are_refused(void **state)
{
	struct crew crew = { .count = 0 };
	tz_connection *c, *a = NULL;
	tz_listener *l;
	tz_bytes got;
	char data[101] = { 0 };

	(void)state;
	(void)crew;
	assert_int_equal(
		tz_listener_open(&l, "127.0.0.1:0", TZ_OPTIONS(tz_net_options, .max_message = 100)),
		0);
	assert_int_equal(tz_net_connect(&c, tz_listener_address(l), NULL), 0);
	assert_int_equal(tz_listener_accept(l, &a), 0);
	assert_int_equal(tz_send_bytes(c, data, 100), 0);
	assert_int_equal(tz_send_bytes(c, data, 101), 0);
	assert_int_equal(tz_recv_bytes(a, &got), 0);
	tz_buffer_free((void *)(uintptr_t)got.data);
	assert_int_equal(tz_recv_bytes(a, &got), -EMSGSIZE);
	/* 64 MiB and a byte, by default: a length is enough. */
	tz_connection_close(a);
	tz_listener_close(l);
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0", NULL), 0);
	int fd = raw_peer(l);
	assert_int_equal(tz_listener_accept(l, &a), 0);
	assert_int_equal(send(fd, "\4\0\0\1", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(tz_recv_bytes(a, &got), -EMSGSIZE);
	(void)close(fd);
	tz_connection_close(a);
	tz_connection_close(c);
	tz_listener_close(l);
}

static void another_key(void **state)
{
	struct crew crew = { .count = 0 };
	struct call call = { .options =
				     TZ_OPTIONS(tz_net_options, .key = "another", .key_size = 7) };
	tz_listener *l;

	(void)state;
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0", WITH_KEY(.size = 0)), 0);
	call.address = tz_listener_address(l);
	crew_add(&crew, connect_and_talk, &call);
	assert_int_equal(refused_by(l, 1), -EKEYREJECTED);
	crew_join(&crew);
	assert_int_equal(call.answer, -EKEYREJECTED);
	tz_listener_close(l);
}

/* Who has not the key puts a listener's challenge to that listener, by a second connection. */
static void a_listener_answers_nobody_who_has_not_answered(void **state)
{
	unsigned char challenge[63], back[64];
	tz_connection *none;
	tz_listener *l;
	int fds[2];

	(void)state;
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0", WITH_KEY(.handshake_seconds = 3600)),
			 0);
	for (int i = 0; i < 2; i++)
		fds[i] = raw_peer(l);
	TZ_TIMEOUT(0.02)
		assert_int_equal(tz_listener_accept(l, &none), -ETIMEDOUT);
	assert_int_equal(recv(fds[0], challenge, sizeof challenge, MSG_WAITALL), sizeof challenge);
	assert_int_equal(recv(fds[1], back, sizeof challenge, MSG_WAITALL), sizeof challenge);
	assert_memory_not_equal(challenge, back, sizeof challenge);
	assert_int_equal(send(fds[1], challenge, sizeof challenge, MSG_NOSIGNAL), sizeof challenge);
	assert_int_equal(refused_by(l, 1), -EPROTONOSUPPORT);
	assert_int_equal(recv(fds[1], back, 13, MSG_WAITALL), 13);
	assert_memory_equal(back + 4, "#FAILURE#", 9);
	assert_true(recv(fds[1], back, sizeof back, 0) <= 0);
	for (int i = 0; i < 2; i++)
		(void)close(fds[i]);
	tz_listener_close(l);
}

/* --- coroutines ------------------------------------------------------------------------------------------------------ */

static int talk_on_a_loop(const char *address)
{
	struct call call = { .address = address, .options = NULL };

	(void)connect_and_talk(&call);
	return call.answer;
}
TZ_TASK(int, talk_on_a_loop, const char *);

static int listen_on_a_loop(tz_listener *l)
{
	enum { CLIENTS = 5 };
	talk_on_a_loop_future f[CLIENTS];
	tz_connection *c[CLIENTS];
	char got[8];
	int bad = 0, answer;

	for (int i = 0; i < CLIENTS; i++)
		f[i] = tz_spawn(talk_on_a_loop, tz_listener_address(l));
	for (int i = 0; i < CLIENTS; i++)
		bad += tz_listener_accept(l, &c[i]) != 0;
	for (int i = 0; i < CLIENTS && !bad; i++) {
		bad += tz_recv_bytes_into(c[i], got, sizeof got) != 5;
		bad += tz_send_bytes(c[i], got, 5) != 0;
		tz_connection_close(c[i]);
	}
	for (int i = 0; i < CLIENTS; i++)
		bad += tz_result(f[i], &answer) != 0 || answer != 0;
	return bad;
}
TZ_TASK(int, listen_on_a_loop, tz_listener *);

static void on_a_loop(void **state)
{
	tz_listener *l;
	int bad = -1;

	(void)state;
	assert_int_equal(tz_listener_open(&l, "localhost:0", NULL), 0);
	assert_int_equal(tz_run_with(NULL, &bad, listen_on_a_loop, l), 0);
	assert_int_equal(bad, 0);
	tz_listener_close(l);
}

static void a_connect_can_be_given_up(void **state)
{
	tz_listener *l;
	tz_connection *c = NULL;

	(void)state;
	assert_int_equal(tz_listener_open(&l, "127.0.0.1:0", WITH_KEY(.size = 0)), 0);
	TZ_TIMEOUT(0.02) /* nobody accepts */
		assert_int_equal(tz_net_connect(&c, tz_listener_address(l), WITH_KEY(.size = 0)),
				 -ETIMEDOUT);
	assert_int_equal(
		tz_net_connect(&c, tz_listener_address(l), WITH_KEY(.handshake_seconds = 0.02)),
		-ETIME);
	assert_null(c);
	tz_listener_close(l);
}

static void a_handshake_over_any_connection(void **state)
{
	tz_connection *a, *b;
	tz_bytes got;

	(void)state;
	assert_int_equal(tz_pipe(&a, &b, TZ_DUPLEX), 0);
	assert_int_equal(tz_net_handshake(a, TZ_HANDSHAKE_CLIENT, NULL), 0); /* no key: nothing */
	assert_int_equal(tz_send_bytes(b, "#CHALLENGE#", 11), 0);
	assert_int_equal(tz_net_handshake(a, TZ_HANDSHAKE_CLIENT, WITH_KEY(.size = 0)),
			 -EPROTONOSUPPORT);
	tz_connection_close(b);
	assert_int_equal(tz_net_handshake(a, TZ_HANDSHAKE_CLIENT, WITH_KEY(.size = 0)), -ENODATA);
	assert_int_equal(tz_recv_bytes(a, &got), -ENODATA);
	tz_connection_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_prove_themselves),
		cmocka_unit_test(one_side_has_another_key),
		cmocka_unit_test(wrong_answers),
		cmocka_unit_test(wrong_challenges),
		cmocka_unit_test(over_all_kinds_of_sockets),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(addresses_that_are_none),
		cmocka_unit_test(the_file_of_another_is_not_removed),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(a_silent_peer_keeps_nobody_waiting),
		cmocka_unit_test(who_takes_too_long_is_refused),
		cmocka_unit_test(for_one_more_the_oldest_goes),
		cmocka_unit_test(connections_are_limited),
		cmocka_unit_test(long_messages_are_refused),
		cmocka_unit_test(another_key),
		cmocka_unit_test(a_listener_answers_nobody_who_has_not_answered),
		cmocka_unit_test(on_a_loop),
		cmocka_unit_test(a_connect_can_be_given_up),
		cmocka_unit_test(a_handshake_over_any_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
