/* term.c: what a stream is to the reader: a terminal, how wide, with colours or not. */
#include "term.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool term_is(FILE *file)
{
	const char *kind = getenv("TERM");

	return isatty(fileno(file)) && kind != NULL && strcmp(kind, "dumb") != 0;
}

const struct style *term_style(FILE *file)
{
	static const struct style plain = { "", "", "", "", "", "", "" };
	static const struct style coloured = { "\033[1m",  "\033[2m",  "\033[31m", "\033[32m",
					       "\033[33m", "\033[36m", "\033[0m" };
	const char *no = getenv("NO_COLOR");

	return term_is(file) && (no == NULL || *no == '\0') ? &coloured : &plain;
}

int term_columns(FILE *file)
{
	struct winsize size;

	if (ioctl(fileno(file), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

bool term_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}
