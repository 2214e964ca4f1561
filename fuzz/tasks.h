/* Tasks whose arguments and results have all that the codec knows. */
#ifndef TRENZA_FUZZ_TASKS_H
#define TRENZA_FUZZ_TASKS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>

#include "seeds.h"
#include "wire/codec.h"

struct point {
	double x, y;
};
TZ_FLAT(struct point);

struct place {
	char *name;
	struct point at;
	struct place *next; /* does not travel */
	const char *tags[2];
	tz_bytes photo;
	bool open;
};
TZ_STRUCT(struct place, name, (struct point, at), tags, photo, open);

static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);

static char *join(const char *a, char *b, char c)
{
	(void)a;
	(void)c;
	return b;
}
TZ_TASK(char *, join, const char *, char *, char);

static const char *word(bool a, const char *b)
{
	return a ? b : NULL;
}
TZ_TASK(const char *, word, bool, const char *);

static tz_bytes either(bool a, tz_bytes b, tz_bytes c)
{
	return a ? b : c;
}
TZ_TASK(tz_bytes, either, bool, tz_bytes, tz_bytes);

static struct place move(struct place p, struct point to)
{
	p.at = to;
	return p;
}
TZ_TASK(struct place, move, struct place, struct point);

static tz_value change(tz_value v, int n)
{
	return n ? tz_value_copy(&v) : tz_none;
}
TZ_TASK(tz_value, change, tz_value, int);

static const tz_task *const tasks[] = { &area_task, &join_task, &word_task, &either_task, &move_task, &change_task };
enum { TASKS = sizeof tasks / sizeof *tasks };

static inline const struct tz_plan *plan_number(unsigned n)
{
	const struct tz_plan *plan = tz_plan_of(tasks[n % TASKS]);

	MUST(plan && plan->error == 0);
	return plan;
}

/* Reads all that the spots of a decoded image refer to; a sanitizer looks on. */
static inline void read_all(const struct tz_shape *s, const unsigned char *image)
{
	static volatile size_t sum;

	for (uint32_t k = 0; k < s->nspots; k++) {
		const unsigned char *spot = image + s->spots[k].offset;
		const char *text;
		tz_bytes b;
		tz_value v;

		if (s->spots[k].kind == TZ_SPOT_BOOL) {
			MUST(*spot <= 1);
		} else if (s->spots[k].kind == TZ_SPOT_BYTES) {
			memcpy(&b, spot, sizeof b);
			MUST(b.data || b.size == 0);
			for (size_t i = 0; i < b.size; i++)
				sum += ((const unsigned char *)b.data)[i];
		} else if (s->spots[k].kind == TZ_SPOT_VALUE) {
			memcpy(&v, spot, sizeof v);
			char *written = tz_value_repr(&v);

			MUST(written);
			free(written);
		} else {
			memcpy(&text, spot, sizeof text);
			sum += text ? strlen(text) : 0;
		}
	}
}

/* A copy that ends where it ends, at an address that suits any plan. */
static inline void *copy_of(const unsigned char *data, size_t size)
{
	void *copy;

	MUST(posix_memalign(&copy, 64, size ? size : 1) == 0);
	memcpy(copy, data, size);
	return copy;
}

/* Values, to begin with; the program's until it ends. */
static inline tz_value a_value(unsigned n)
{
	static tz_value some[3];

	if (some[0].tz__kind == TZ_VALUE_NONE) {
		some[0] = tz_list(42, tz_none, "hello", 1.5);
		some[1] = tz_dict("a", tz_list(1, 2), 7, tz_empty_dict);
		some[2] = tz_string("text");
	}
	return some[n % 3];
}

/* Places with contents of some sizes, to begin with. */
static inline struct place a_place(size_t n)
{
	static char name[] = "a name that is long enough to be cut";

	return (struct place){
		.name = n % 2 ? name + n : NULL,
		.at = { 1, 2 },
		.tags = { "old", n % 3 ? "new" : NULL },
		.photo = { name, n },
		.open = true,
	};
}

#endif
