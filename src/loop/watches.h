/* Rings of watches: lists that a backend keeps them in. */
#ifndef TZ_LOOP_WATCHES_H
#define TZ_LOOP_WATCHES_H

#include "loop/backend.h"

static inline void tz_watches_append(struct tz_watch **list, struct tz_watch *w)
{
	struct tz_watch *first = *list;

	if (first) {
		w->next = first;
		w->prev = first->prev;
		w->prev->next = w;
		first->prev = w;
	} else {
		w->next = w->prev = w;
		*list = w;
	}
}

static inline void tz_watches_remove(struct tz_watch **list, struct tz_watch *w)
{
	if (w->next == w) {
		*list = NULL;
		return;
	}
	w->prev->next = w->next;
	w->next->prev = w->prev;
	if (*list == w)
		*list = w->next;
}

#endif
