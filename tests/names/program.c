/* Names of tasks, in one process; and what they are in another, which is the same program started again.
 *
 * program [PLUGIN]           tells the names of the tasks to a new process of itself, which resolves and calls them
 * program --write [PLUGIN]   prints the names
 * program --resolve NAME...  resolves names: prints what the tasks answer to 1, or the error
 * program --keep PLUGIN      resolves a plugin's task, unloads the plugin, and calls the task
 * program --two FILE FILE    loads two copies of a plugin: prints what their names are names of
 * program --scan             resolves every place of the program's own module: prints how many are descriptors
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tasks.h"

#ifdef __cplusplus
extern "C" {
#define _Static_assert static_assert
#endif
#include "wire/name.h"
#ifdef LIBRARY
with_tasks library_tasks;
#endif
#ifdef __cplusplus
}
#endif

TASKS(1);

/* What is no descriptor, but looks like one: all of it in memory that can be written; pointing at another's entry; without the magic word; with an entry that is
 * not in the section. */
static tz_task forged;
static const tz_task *forged_entry = &forged;
static tz_module forged_module = { &forged_entry, &forged_entry + 1, NULL, NULL };
#ifndef __cplusplus
static const tz_task impostor __attribute__((used)) = {
	.name = "impostor", .tz__module = &tz__here, .tz__entry = &one__entry, .tz__slot = &one__slot, .tz__magic = TZ__MAGIC,
};
static const tz_task *const bare_entry TZ__IN_TASKS;
static const tz_task bare = { .name = "bare", .tz__module = &tz__here, .tz__entry = &bare_entry, .tz__slot = &one__slot };
static const tz_task *const bare_entry TZ__IN_TASKS = &bare;
static const tz_task *const stray_entry __attribute__((used));
static const tz_task stray = {
	.name = "stray", .tz__module = &tz__here, .tz__entry = &stray_entry, .tz__slot = &one__slot, .tz__magic = TZ__MAGIC,
};
static const tz_task *const stray_entry = &stray;
#endif

static char *hex_of(const tz_task *task)
{
	static char texts[8][2 * sizeof(struct tz_task_name) + 1];
	static int used;
	struct tz_task_name name;
	int r = tz_task_name_of(task, &name);
	size_t size = tz_task_name_size(&name);
	char *text = texts[used++];

	if (r < 0) {
		printf("no name: %s\n", strerror(-r));
		exit(1);
	}
	for (size_t i = 0; i < size; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)&name)[i]);
	return text;
}

static int resolve_hex(const char *text, const tz_task **ret)
{
	unsigned char bytes[2 * sizeof(struct tz_task_name)];
	size_t size = strlen(text) / 2;
	unsigned byte;

	for (size_t i = 0; i < size && i < sizeof bytes; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return -EINVAL;
		bytes[i] = (unsigned char)byte;
	}
	return tz_task_resolve(bytes, size, ret);
}

/* What a task answers to 1; a negative errno code. */
static int ask(const char *text)
{
	const tz_task *task, *again;
	int answer = 0, one = 1, r = resolve_hex(text, &task);

	if (r < 0)
		return r;
	task->run(&answer, &one);
	if (resolve_hex(text, &again) < 0 || again != task)
		return -EIO;
	return answer;
}

static int resolve_all(char **names)
{
	for (; *names; names++) {
		int r = ask(*names);

		if (r < 0)
			printf("%s\n", strerror(-r));
		else
			printf("%d\n", r);
	}
	return 0;
}

static int size_of_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			*(size_t *)arg = info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
	return 1;
}

static int is_protected(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		*(bool *)arg |= info->dlpi_phdr[i].p_type == PT_GNU_RELRO;
	return 1;
}

/* A forgery is believed where nothing is protected. */
static bool is_believed(tz_task *task)
{
	struct tz_task_name name;

	return tz_task_name_of(task, &name) != -ENOEXEC;
}

/* Every 4th place, and some before and behind the module. */
static int scan(void)
{
	struct tz_task_name name;
	const tz_task *task;
	size_t end = 0, found = 0, other = 0;
	bool protects = false;
	int r;

	(void)dl_iterate_phdr(size_of_program, &end);
	if (tz_task_name_of(&one_task, &name) < 0)
		return 1;
	(void)dl_iterate_phdr(is_protected, &protects);
	forged = one_task;
	other += is_believed(&forged);
	forged.tz__entry = &forged_entry;
	forged.tz__module = &forged_module;
	other += is_believed(&forged) != !protects;
	forged.tz__magic = 0;
	for (uint64_t at = 0; at < end + 4096; at += 4) {
		name.offset = at;
		r = tz_task_resolve(&name, tz_task_name_size(&name), &task);
		found += r == 0;
		other += r != 0 && r != -ENOEXEC;
	}
	name.offset = (uint64_t)-8;
	other += tz_task_resolve(&name, tz_task_name_size(&name), &task) != -ENOEXEC;
	printf("%zu %zu\n", found, other);
	return 0;
}

static void *add_plugin(const char *path, const tz_task **tasks, char **names)
{
	void *plugin = dlopen(path, RTLD_NOW);
	with_tasks *entry;

	if (!plugin) {
		printf("%s\n", dlerror());
		exit(1);
	}
	*(void **)&entry = dlsym(plugin, "plugin_tasks");
	entry(&tasks[0], &tasks[1]);
	names[0] = hex_of(tasks[0]);
	names[1] = hex_of(tasks[1]);
	return plugin;
}

static int keep(const char *path)
{
	const tz_task *tasks[2];
	char *names[2];
	void *plugin = add_plugin(path, tasks, names);

	printf("%d\n", ask(names[0]));
	(void)dlclose(plugin);
	printf("%d\n", ask(names[0]));
	return 0;
}

static int two_copies(char **paths)
{
	const tz_task *first[2], *second[2], *found;
	char *names[4];

	(void)add_plugin(paths[0], first, names);
	(void)add_plugin(paths[1], second, names + 2);
	printf("%d\n", first[0] == second[0]);
	printf("%d\n", resolve_hex(names[0], &found) == 0 && found == first[0]);
	printf("%d\n", resolve_hex(names[3], &found) == 0 && found == second[1]);
	return 0;
}

static int ask_another(char **names)
{
	char program[] = "/proc/self/exe", resolve[] = "--resolve", *argv[10] = { program, resolve };
	int status = 1;

	for (int i = 0; names[i]; i++)
		argv[i + 2] = names[i];
	pid_t pid = fork();

	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : 1;
}

int main(int argc, char **argv)
{
	const bool writing = argc > 1 && strcmp(argv[1], "--write") == 0;
	const char *plugin = argv[1] ? argv[writing ? 2 : 1] : NULL;
	const tz_task *tasks[2];
	char *names[8] = { NULL };
	int n = 0;

	if (argc > 1 && strcmp(argv[1], "--resolve") == 0)
		return resolve_all(argv + 2);
	if (argc > 1 && strcmp(argv[1], "--scan") == 0)
		return scan();
	if (argc > 1 && strcmp(argv[1], "--keep") == 0)
		return keep(argv[2]);
	if (argc > 1 && strcmp(argv[1], "--two") == 0)
		return two_copies(argv + 2);
	names[n++] = hex_of(&one_task);
	names[n++] = hex_of(&two_task);
#ifdef LIBRARY
	library_tasks(&tasks[0], &tasks[1]);
	names[n++] = hex_of(tasks[0]);
	names[n++] = hex_of(tasks[1]);
#endif
	if (plugin) {
		(void)add_plugin(plugin, tasks, names + n);
		n += 2;
	}
	if (getenv("REMOVE")) /* this program's file, while it runs */
		(void)unlink(getenv("REMOVE"));
	if (!writing)
		return ask_another(names);
	for (int i = 0; i < n; i++)
		puts(names[i]);
	return 0;
}
