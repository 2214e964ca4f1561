/* Strings that are kept for ever: a hash table that only grows. */
#include "wire/intern.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "os/mutex.h"

struct kept {
	struct kept *next;
	uint64_t hash;
	size_t length;
	char text[];
};

static struct {
	struct tz_mutex lock;
	struct kept **buckets;
	size_t room, count; /* room is a power of 2 */
} table;

TZ_KEEP_OVER_FORKS(table.lock);

static uint64_t hash_of(const char *text, size_t length)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	return hash ^ hash >> 32;
}

/* Room for one more. */
static bool grow(void)
{
	if (table.count < table.room)
		return true;
	size_t room = table.room ? table.room * 2 : 64;
	struct kept **buckets = calloc(room, sizeof *buckets);

	if (!buckets)
		return table.room != 0; /* slower, then */
	for (size_t i = 0; i < table.room; i++)
		while (table.buckets[i]) {
			struct kept *k = table.buckets[i];

			table.buckets[i] = k->next;
			k->next = buckets[k->hash & (room - 1)];
			buckets[k->hash & (room - 1)] = k;
		}
	free(table.buckets);
	table.buckets = buckets;
	table.room = room;
	return true;
}

/* The text may change while it is read, if a mad process shares it: what counts is what was copied. */
const char *tz_intern(const char *text, size_t length)
{
	struct kept *mine = malloc(sizeof *mine + length + 1), *k = NULL;

	if (!mine)
		return NULL;
	memcpy(mine->text, text, length);
	mine->text[length] = 0;
	mine->length = strlen(mine->text);
	mine->hash = hash_of(mine->text, mine->length);
	tz_mutex_lock(&table.lock);
	if (grow()) {
		struct kept **bucket = &table.buckets[mine->hash & (table.room - 1)];

		for (k = *bucket; k; k = k->next)
			if (k->hash == mine->hash && k->length == mine->length && memcmp(k->text, mine->text, k->length) == 0)
				break;
		if (!k) {
			k = mine;
			mine = NULL;
			k->next = *bucket;
			*bucket = k;
			table.count++;
		}
	}
	tz_mutex_unlock(&table.lock);
	free(mine);
	return k ? k->text : NULL;
}
