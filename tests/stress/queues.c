/* Queues at random: every order and bound, one element or several, waits that end early, and an end of either kind at any moment. Each
 * element that went in comes out once, or was dropped; nobody is left waiting. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "stress.h"

enum { PUTTERS = 4, GETTERS = 4, EACH = 4000, ELEMENTS = PUTTERS * EACH, BATCH = 9 };

struct element {
	uint32_t id;
	uint32_t urgency;
	uint64_t check;
};
TZ_QUEUE(struct element, elements);

static elements queue;
static tz_queue_options options;
static _Atomic unsigned char in[ELEMENTS], out[ELEMENTS];
static _Atomic int putting;
static _Atomic uint32_t taken, round_number;
static int
	end_at; /* after so many were taken, somebody shuts the queue down; -1: when all is put */
static _Atomic int ended;

static uint64_t check_of(uint32_t id)
{
	return (id + 1) * 0x9e3779b97f4a7c15u;
}

static tz_deadline some_time(stress_random *r)
{
	return tz_after(stress_draw(r, 4) == 0 ? 0.00002 * stress_draw(r, 10) : 60);
}

static bool ended_early(ptrdiff_t answer)
{
	return answer == -ETIMEDOUT || answer == -ECANCELED || answer == -EAGAIN;
}

/* Puts the elements from id on, up to n: how many went in, or an error. */
static ptrdiff_t put_some(stress_random *r, uint32_t id, uint32_t n)
{
	struct element e[BATCH];
	ptrdiff_t answer;

	for (uint32_t i = 0; i < n; i++)
		e[i] = (struct element){ id + i, stress_draw(r, 16), check_of(id + i) };
	switch (stress_draw(r, 5)) {
	case 0:
		return tz_queue_put_n_until(queue.queue, e, n, some_time(r));
	case 1:
		return tz_queue_try_put_n(queue.queue, e, n);
	case 2:
		TZ_TIMEOUT(0.00002 * stress_draw(r, 10)) {
			answer = elements_put(queue, e[0]);
		}
		break;
	case 3:
		answer = elements_try_put(queue, e[0]);
		break;
	default:
		answer = elements_put_until(queue, e[0], some_time(r));
	}
	return answer == 0 ? 1 : answer;
}

static void put_all(int index)
{
	stress_random r = stress_generator(1000 * atomic_load(&round_number) + (unsigned)index);
	uint32_t id = (uint32_t)index * EACH, stop = id + EACH;

	while (id < stop) {
		uint32_t n = 1 + stress_draw(&r, BATCH);
		ptrdiff_t went = put_some(&r, id, n < stop - id ? n : stop - id);

		if (went == -ESHUTDOWN)
			break;
		must(went > 0 || ended_early(went));
		for (ptrdiff_t i = 0; i < went; i++)
			must(atomic_exchange(&in[id++], 1) == 0);
		progress();
	}
	if (atomic_fetch_sub(&putting, 1) == 1 && end_at < 0)
		must(tz_queue_shutdown(queue.queue, TZ_QUEUE_DRAIN) == 0);
}

static void end_if_it_is_time(stress_random *r)
{
	if (end_at >= 0 && atomic_load(&taken) >= (uint32_t)end_at &&
	    atomic_exchange(&ended, 1) == 0)
		must(tz_queue_shutdown(queue.queue,
				       stress_draw(r, 2) ? TZ_QUEUE_DRAIN : TZ_QUEUE_DROP) == 0);
}

static ptrdiff_t get_some(stress_random *r, struct element *e)
{
	ptrdiff_t answer;

	switch (stress_draw(r, 5)) {
	case 0:
		return tz_queue_get_n_until(queue.queue, e, BATCH, some_time(r));
	case 1:
		return tz_queue_try_get_n(queue.queue, e, BATCH);
	case 2:
		TZ_TIMEOUT(0.00002 * stress_draw(r, 10)) {
			answer = elements_get(queue, e);
		}
		break;
	case 3:
		answer = elements_try_get(queue, e);
		break;
	default:
		answer = elements_get_until(queue, e, some_time(r));
	}
	return answer == 0 ? 1 : answer;
}

static void get_all(int index)
{
	stress_random r = stress_generator(1000 * atomic_load(&round_number) + (unsigned)index);
	uint32_t last[PUTTERS];
	struct element e[BATCH];

	memset(last, 0, sizeof last);
	for (;;) {
		ptrdiff_t n = get_some(&r, e);

		if (n == -ESHUTDOWN)
			return;
		must(n > 0 || ended_early(n));
		for (ptrdiff_t i = 0; i < n; i++) {
			uint32_t from = e[i].id / EACH;

			must(e[i].id < ELEMENTS && e[i].check == check_of(e[i].id));
			must(atomic_exchange(&out[e[i].id], 1) == 0);
			if (options.order == TZ_FIFO)
				must(last[from] <= e[i].id + 1);
			last[from] = e[i].id + 1;
			must(tz_queue_task_done(queue.queue) == 0);
			atomic_fetch_add(&taken, 1);
		}
		progress();
		end_if_it_is_time(&r);
	}
}

static void put_or_get(int index)
{
	if (index < PUTTERS)
		put_all(index);
	else if (index < PUTTERS + GETTERS)
		get_all(index);
	else
		must(tz_queue_join_until(
			     queue.queue,
			     tz_after(stress_draw(&(stress_random){ 1 }, 2) ? 60 : 0.001)) <= 0);
}

static void one_round(stress_random *r)
{
	static const size_t bounds[] = { 0, 1, 2, 3, 16, 1000 };
	uint32_t went_in = 0, came_out = 0;

	options.capacity = bounds[stress_draw(r, 6)];
	end_at = stress_draw(r, 2) ? (int)stress_draw(r, ELEMENTS) : -1;
	atomic_store(&putting, PUTTERS);
	atomic_store(&ended, 0);
	atomic_store(&taken, 0);
	atomic_fetch_add(&round_number, 1);
	memset((void *)in, 0, sizeof in);
	memset((void *)out, 0, sizeof out);
	must(elements_open(&queue, &options) == 0);
	stress_threads(PUTTERS + GETTERS + 2, put_or_get);
	if (!tz_queue_is_shutdown(queue.queue))
		must(tz_queue_shutdown(queue.queue, TZ_QUEUE_DROP) == 0);
	must(tz_queue_size(queue.queue) == 0);
	must(tz_queue_unfinished(queue.queue) == 0);
	must(tz_queue_join_until(queue.queue, tz_after(60)) == 0);
	for (int i = 0; i < ELEMENTS; i++) {
		must(out[i] <= in[i]);
		went_in += in[i];
		came_out += out[i];
	}
	if (end_at < 0)
		must(went_in == ELEMENTS && came_out == ELEMENTS);
	elements_close(&queue);
}

static void rounds(tz_queue_order order)
{
	stress_random r = stress_generator(order);

	memset(&options, 0, sizeof options);
	options.order = order;
	if (order == TZ_PRIORITY)
		options.key = TZ_QUEUE_KEY(struct element, urgency);
	while (!stress_over())
		one_round(&r);
}

static void fifo(void)
{
	rounds(TZ_FIFO);
}

static void lifo(void)
{
	rounds(TZ_LIFO);
}

static void priority(void)
{
	rounds(TZ_PRIORITY);
}

static void one_cpu(void)
{
	stress_one_cpu(true);
	rounds(TZ_FIFO);
	stress_one_cpu(false);
}

/* Everybody puts into and takes out of one small queue, and is interrupted all the time by a handler that puts, too. */
enum { INTERRUPTED = 4 };

static tz_queue *small;
static pthread_t victims[INTERRUPTED];
static _Atomic int victims_ready, signalling;
static _Atomic uint32_t put_by_signal, taken_of_those;

static void put_from_handler(int signo)
{
	int saved = errno;

	if (tz_queue_try_put(small, &signo) == 0)
		atomic_fetch_add(&put_by_signal, 1);
	errno = saved;
}

static void interrupted(int index)
{
	stress_random r = stress_generator((unsigned)index);
	int item;

	victims[index] = pthread_self();
	atomic_fetch_add(&victims_ready, 1);
	while (atomic_load(&signalling)) { /* so no signal comes to a thread that is gone */
		if (index % 2) {
			item = 0;
			(void)tz_queue_put_until(small, &item, tz_after(0.001));
		} else if (tz_queue_get_until(small, &item, some_time(&r)) == 0 &&
			   item == SIGUSR1) {
			atomic_fetch_add(&taken_of_those, 1);
			progress();
		}
	}
}

static void interrupt_or_be(int index)
{
	if (index < INTERRUPTED) {
		interrupted(index);
		return;
	}
	while (atomic_load(&victims_ready) < INTERRUPTED)
		(void)tz_sleep(0.0001);
	for (unsigned i = 0; !stress_over(); i++) {
		must(pthread_kill(victims[i % INTERRUPTED], SIGUSR1) == 0);
		(void)tz_sleep(0.00002);
	}
	must(tz_queue_shutdown(small, TZ_QUEUE_DRAIN) == 0); /* nobody waits any longer */
	atomic_store(&signalling, 0);
}

static void handlers(void)
{
	struct sigaction act = { .sa_handler = put_from_handler, .sa_flags = SA_RESTART }, before;
	int item;

	atomic_store(&signalling, 1);
	must(tz_queue_open(&small, sizeof item, &(tz_queue_options){ .capacity = 8 }) == 0);
	must(sigaction(SIGUSR1, &act, &before) == 0);
	stress_threads(INTERRUPTED + 1, interrupt_or_be);
	must(sigaction(SIGUSR1, &before, NULL) == 0);
	while (tz_queue_try_get(small, &item) == 0)
		atomic_fetch_add(&taken_of_those, item == SIGUSR1);
	must(atomic_load(&put_by_signal) > 0);
	must(atomic_load(&put_by_signal) == atomic_load(&taken_of_those));
	tz_queue_close(small);
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "queues first in, first out", fifo },     { "queues last in, first out", lifo },
		{ "queues by priority", priority },         { "queues on one processor", one_cpu },
		{ "queues and signal handlers", handlers },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
