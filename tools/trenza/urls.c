/* urls.c: the list of URLs to fetch. */
#include "urls.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

int urls_add(struct urls *urls, const char *url, size_t len)
{
	char *copy;

	if (urls->count == urls->room) {
		size_t room = urls->room > 0 ? urls->room * 2 : 64;
		char **list = realloc(urls->list, room * sizeof *list);

		if (list == NULL)
			return -ENOMEM;
		urls->list = list;
		urls->room = room;
	}
	copy = strndup(url, len);
	if (copy == NULL)
		return -ENOMEM;
	urls->list[urls->count++] = copy;
	return 0;
}

static int add_line(struct urls *urls, const char *line)
{
	size_t len;

	while (isspace((unsigned char)*line))
		line++;
	len = strlen(line);
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	return len > 0 && line[0] != '#' ? urls_add(urls, line, len) : 0;
}

int urls_read(struct urls *urls, FILE *file)
{
	char *line = NULL;
	size_t room = 0;
	int r = 0;

	errno = 0;
	while (r == 0 && getline(&line, &room, file) >= 0)
		r = add_line(urls, line);
	if (r == 0 && ferror(file))
		r = errno > 0 ? -errno : -EIO;
	free(line);
	return r;
}

int urls_read_file(struct urls *urls, const char *name)
{
	FILE *file;
	int r;

	if (strcmp(name, "-") == 0)
		return urls_read(urls, stdin);
	file = fopen(name, "re");
	if (file == NULL)
		return -errno;
	r = urls_read(urls, file);
	fclose(file);
	return r;
}

void urls_done(struct urls *urls)
{
	for (size_t i = 0; i < urls->count; i++)
		free(urls->list[i]);
	free(urls->list);
	*urls = (struct urls){ 0 };
}
