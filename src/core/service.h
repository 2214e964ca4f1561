/* The service thread: runs callbacks that must not run inside the call that causes them. One for the process, started when first needed. */
#ifndef TZ_CORE_SERVICE_H
#define TZ_CORE_SERVICE_H

/* Something to run once; lies in the caller's memory, which `run` may free. */
struct tz_service_item {
	struct tz_service_item *next;
	void (*run)(struct tz_service_item *item);
};

/* Makes sure that the thread exists: 0 or -EAGAIN. After it, tz_service_run cannot fail. */
int tz_service_start(void);

/* Has item->run called on the service thread, in order. */
void tz_service_run(struct tz_service_item *item);

/* In a fork child: there is no such thread; what was queued is forgotten. */
void tz_service_after_fork(void);

#endif
