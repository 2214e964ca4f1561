/* The standing of a process. See standing.h. */
#include "process/standing.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t mix(uint64_t h, const void *data, size_t size)
{
	const unsigned char *p = data;

	while (size--)
		h = (h ^ *p++) * 0x100000001b3u; /* FNV-1a */
	return h;
}

static bool begins(const char *line, const char *word)
{
	return *line == *word && strncmp(line, word, strlen(word)) == 0;
}

/* The lines of /proc/thread-self/status that matter. */
static uint64_t hash_status(char *text, struct tz_manners *manners)
{
	static const char *const lines[] = { "Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:",
					     "Seccomp:", "Seccomp_filters:" };
	uint64_t h = 0xcbf29ce484222325u;

	for (char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			break;
		if (begins(line, "Umask:"))
			manners->umask = (int)strtol(line + 6, NULL, 8);
		if (begins(line, "SigIgn:")) {
			manners->ignored = strtoull(line + 7, NULL, 16);
			manners->known = true;
		}
		for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
			if (begins(line, lines[i]))
				h = mix(h, line, (size_t)(end - line));
	}
	return h;
}

static uint64_t hash_ids(void)
{
	uid_t ids[6] = { 0 };
	gid_t groups[1024];
	int n = getgroups(1024, groups), more[2] = { prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_DUMPABLE) };
	uint64_t h;

	(void)getresuid(&ids[0], &ids[1], &ids[2]);
	(void)getresgid(&ids[3], &ids[4], &ids[5]);
	h = mix(mix(0, ids, sizeof ids), more, sizeof more);
	return n > 0 ? mix(h, groups, (size_t)n * sizeof *groups) : h;
}

int tz_standing_read(struct tz_standing *ret, struct tz_manners *ret_manners)
{
	char text[8192];
	int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	struct stat root;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return -errno;
	if (fd >= 0)
		(void)close(fd);
	*ret_manners = (struct tz_manners){ .umask = -1 };
	memset(ret, 0, sizeof *ret);
	if (n > 0) {
		text[n] = '\0';
		ret->credentials = hash_status(text, ret_manners);
	} else {
		ret->credentials = hash_ids();
	}
	if (stat("/", &root) == 0) {
		ret->root_device = root.st_dev;
		ret->root_inode = root.st_ino;
	}
	ret->session = getsid(0);
	return 0;
}

bool tz_standing_same(const struct tz_standing *a, const struct tz_standing *b)
{
	return a->credentials == b->credentials && a->root_device == b->root_device && a->root_inode == b->root_inode &&
	       a->session == b->session;
}
