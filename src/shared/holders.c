/* Tables of holders, and gates. See holders.h. */
#include "shared/holders.h"

#include "shared/owner.h"

tz__shared_holder *tz_holders_find(struct tz_holders hs)
{
	uint32_t me = tz_owner_self();

	for (unsigned i = 0, n = tz_holders_count(hs); i < n; i++)
		if (tz_word_get(&hs.table[i].tz__owner) == me)
			return &hs.table[i];
	return NULL;
}

static tz__shared_holder *find_free(struct tz_holders hs)
{
	unsigned n = tz_holders_count(hs);

	for (unsigned i = 0; i < n; i++)
		if (tz_word_get(&hs.table[i].tz__amount) == 0)
			return &hs.table[i];
	if (n == TZ_SHARED_PROCESSES)
		return NULL;
	tz_word_set(hs.used, n + 1);
	return &hs.table[n];
}

tz__shared_holder *tz_holders_own(struct tz_holders hs)
{
	tz__shared_holder *h = tz_holders_find(hs);

	if (!h) {
		h = find_free(hs);
		if (h)
			tz_word_set(&h->tz__owner, tz_owner_self());
	}
	return h;
}

bool tz_dead_has(const struct tz_dead *dead, uint32_t owner)
{
	for (unsigned i = 0; i < dead->count; i++)
		if (dead->words[i] == (owner & TZ_OWNER_MASK))
			return true;
	return false;
}

void tz_dead_look(struct tz_dead *dead, uint32_t owner)
{
	owner &= TZ_OWNER_MASK;
	if (owner && dead->count < sizeof dead->words / sizeof *dead->words &&
	    !tz_dead_has(dead, owner) && !tz_owner_is_alive(owner))
		dead->words[dead->count++] = owner;
}

void tz_dead_find(struct tz_dead *dead, struct tz_holders hs)
{
	for (unsigned i = 0, n = tz_holders_count(hs); i < n; i++)
		if (tz_word_get(&hs.table[i].tz__amount) != 0)
			tz_dead_look(dead, tz_word_get(&hs.table[i].tz__owner));
}

void tz_gate_open(uint32_t *gate, int n)
{
	uint32_t g = tz_word_get(gate);

	if (!(g & 1) || n <= 0)
		return;
	tz_word_set(gate, g + 2);
	if (tz_nap_wake(gate, n) < n)
		tz_word_set(gate, (g + 2) & ~(uint32_t)1);
}
