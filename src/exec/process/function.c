/* Functions' names. See function.h. */
#include "exec/process/function.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "wire/name.h"

/* A look through the modules. */
struct search {
	uintptr_t address; /* of the function; or 0: by the name */
	struct term_function *name;
	bool found, too_long;
	uintptr_t base;
};

static bool has_code_at(const struct dl_phdr_info *info, uintptr_t offset)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && p->p_flags & PF_X && offset >= p->p_vaddr &&
		    offset - p->p_vaddr < p->p_memsz)
			return true;
	}
	return false;
}

static size_t up(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* The build-id in one segment of notes: its size, 0 if there is none. */
static size_t find_id(const unsigned char *notes, size_t size, const unsigned char **ret)
{
	const ElfW(Nhdr) * n;

	for (size_t at = 0; at + sizeof *n <= size;
	     at += sizeof *n + up(n->n_namesz) + up(n->n_descsz)) {
		n = (const void *)(notes + at);
		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 &&
		    memcmp(n + 1, "GNU", 4) == 0) {
			*ret = (const unsigned char *)(n + 1) + 4;
			return n->n_descsz;
		}
	}
	return 0;
}

static uint32_t id_of(const struct dl_phdr_info *info, unsigned char *to, size_t most)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const unsigned char *id = NULL;
		size_t size = p->p_type == PT_NOTE
				      ? find_id((const unsigned char *)info->dlpi_addr + p->p_vaddr,
						p->p_memsz, &id)
				      : 0;

		if (size) {
			size = size < most ? size : most;
			memcpy(to, id, size);
			return (uint32_t)size;
		}
	}
	return 0;
}

static int look_for_address(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *s = arg;
	size_t length = strlen(info->dlpi_name);

	(void)size;
	if (!has_code_at(info, s->address - info->dlpi_addr))
		return 0;
	memset(s->name, 0, sizeof *s->name);
	s->name->offset = s->address - info->dlpi_addr;
	s->name->id_size = id_of(info, s->name->id, sizeof s->name->id);
	s->too_long = length >= sizeof s->name->path;
	if (!s->too_long)
		memcpy(s->name->path, info->dlpi_name, length + 1);
	s->found = true;
	return 1;
}

/* The same module: by its build-id, or without one by its path. */
static int look_for_name(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *s = arg;
	struct term_function *name = s->name;
	unsigned char id[sizeof name->id];
	uint32_t id_size = id_of(info, id, sizeof id);

	(void)size;
	if (id_size != name->id_size || memcmp(id, name->id, id_size) != 0 ||
	    (id_size == 0 && strcmp(info->dlpi_name, name->path) != 0) ||
	    !has_code_at(info, (uintptr_t)name->offset))
		return 0;
	s->base = info->dlpi_addr;
	s->found = true;
	return 1;
}

int term_function_name(void (*fn)(void), struct term_function *ret)
{
	struct search s = { .address = (uintptr_t)fn, .name = ret };

	(void)dl_iterate_phdr(look_for_address, &s);
	return !s.found ? -ENOEXEC : s.too_long ? -ENAMETOOLONG : 0;
}

void (*term_function_find(const struct term_function *name))(void)
{
	struct term_function mine = *name;
	struct search s = { .name = &mine };

	(void)dl_iterate_phdr(look_for_name, &s);
	if (!s.found && mine.path[0] && tz_module_open(mine.path, RTLD_NOW | RTLD_LOCAL))
		(void)dl_iterate_phdr(look_for_name, &s);
	return s.found ? (void (*)(void))(s.base + (uintptr_t)mine.offset) : NULL;
}
