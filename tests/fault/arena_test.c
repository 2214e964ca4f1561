/* Lanes and buffers, when memory, files or descriptors run out at any point. */
#include "fault.h"

#include "arena/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/buffer.h>

#include "check.h"

enum { LARGE = 100000, TASKS = 6 };

static struct tz_lane_parent parent;
static struct tz_lane_worker worker;
static struct tz_bell *bell;

/* What a system call that fails here says. */
static int as_memory(int r)
{
	return r == -ENOSPC || r == -EMFILE || r == -ENFILE ? -ENOMEM : r;
}

static int open_both(int *ret_bell_fd)
{
	int fds[2], r = tz_bell_open(&bell, ret_bell_fd);

	if (r < 0)
		return r;
	r = tz_lane_open(&parent);
	if (r < 0)
		return r;
	tz_lane_fds(&parent, fds);
	fds[0] = dup(fds[0]);
	fds[1] = dup(fds[1]);
	expect(fds[0] >= 0 && fds[1] >= 0);
	r = tz_lane_join(&worker, fds, bell);
	tz_lane_close_fds(&parent);
	return r;
}

static void close_both(int bell_fd)
{
	tz_lane_leave(&worker);
	tz_lane_close(&parent);
	if (bell_fd >= 0)
		(void)close(bell_fd);
	tz_bell_close(bell);
	bell = NULL;
	tz_segment_trim();
}

/* One task there and back; large payloads are copied, and a buffer goes each way. */
static int send_one(unsigned char *copied)
{
	unsigned char *buffer = tz_buffer_alloc(LARGE);
	struct tz_segment *s = buffer ? tz_segment_find(buffer, LARGE) : NULL;
	struct tz_lane_load task = { .bytes = copied, .size = LARGE, .refs = &s, .nrefs = s != NULL };
	struct tz_lane_load small = { .bytes = copied, .size = 8 };
	struct tz_lane_what what = { 0 };
	struct tz_lane_mail mail;
	int r = buffer ? tz_lane_put(&parent, &what, &task) : -ENOMEM, e;

	if (r == 0) {
		tz_lane_publish(&parent);
		r = tz_lane_claim(&worker, 0, &mail);
		expect(r == 0 || r == -EMFILE);
		e = tz_lane_reply(&worker, &what, &(struct tz_lane_load){ .bytes = copied, .size = LARGE });
		if (e < 0) {
			r = e;
			expect(tz_lane_reply(&worker, &what, &small) == 0);
		}
		e = tz_lane_collect(&parent, &mail);
		expect(e == 1 || e == -EMFILE);
		if (e == 1)
			expect(memcmp(mail.bytes, copied, mail.size) == 0);
		else
			r = e;
		tz_lane_collected(&parent);
	}
	tz_segment_unref(s);
	tz_buffer_free(buffer);
	return as_memory(r);
}

static int there_and_back(const void *arg)
{
	static unsigned char copied[LARGE];
	int bell_fd = -1, r = as_memory(open_both(&bell_fd));

	(void)arg;
	/* After a failure the lane goes on. */
	for (int i = 0; i < TASKS && worker.lane; i++) {
		int e = send_one(copied);

		memset(copied, i, sizeof copied);
		r = r < 0 ? r : e;
		expect(e == 0 || e == r);
	}
	close_both(bell_fd);
	return r;
}

static void lanes(void **state)
{
	(void)state;
	fault_sweep(there_and_back, NULL);
}

static int allocate_some(const void *arg)
{
	void *buffer[4] = { NULL };
	int r = 0;

	(void)arg;
	for (int i = 0; i < 4; i++) {
		buffer[i] = tz_buffer_alloc((size_t)1000 << (3 * i));
		if (buffer[i])
			memset(buffer[i], 1, (size_t)1000 << (3 * i));
		else
			r = -ENOMEM;
	}
	for (int i = 0; i < 4; i++)
		tz_buffer_free(buffer[i]);
	tz_segment_trim();
	return r;
}

static void buffers(void **state)
{
	(void)state;
	fault_sweep(allocate_some, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lanes),
		cmocka_unit_test(buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
