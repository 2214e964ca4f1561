/*
 * headings.c: the headings h1 to h4 of a page, read as it arrives.
 *
 * Design notes. libxml2's HTML parser calls us for each tag and each piece of text and builds no
 * tree, so the memory for a page is its headings. What a tag means is decided here, after the HTML
 * standard where libxml2's older idea of HTML differs: <template> holds no content, a heading begun
 * inside a heading ends it, and the end tag of any heading ends the one that is open.
 *
 * The parser takes linear time on any nesting with one exception: for an end tag that nothing
 * opened it looks through all open elements. A page of 100,000 start tags and as many foreign end
 * tags would take half a minute, so the steps of those searches are counted, and a page that asks
 * for too many is given up.
 */
#include "headings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/HTMLparser.h>

#include "utf8.h"

/* How many steps of looking for a start tag a page is worth: under a second of one core. An
   honest page of 10,000 stray end tags inside 100 elements needs a two-hundredth of it. */
enum { STEPS_MAX = 200 * 1000 * 1000 };

struct heading_parser {
	htmlParserCtxtPtr html;
	long long steps;
	struct headings found;
	size_t size, room; /* of `found.lines`, without its 0 */
	int error; /* the first failure inside a callback */
	unsigned hidden; /* how many elements are open whose content nobody sees */
	int level; /* of the heading that is open, or 0 */
	int depth; /* how many elements were open with it; fewer, and it cannot be open any more */
	bool gap; /* white space came since the last character of `text` */
	bool full; /* the text was cut, and its ellipsis is written */
	size_t len;
	char text[HEADING_MAX_BYTES + 1];
};

/* Elements whose content is not part of the page that a reader sees. */
static bool hides(const char *tag)
{
	static const char *const tags[] = { "template", "script", "style",   "title",
					    "textarea", "iframe", "noembed", "noframes" };

	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
		if (strcasecmp(tag, tags[i]) == 0)
			return true;
	return false;
}

/* Elements inside a line of text; all others stand apart from what is before and after them. */
static bool stays_in_line(const char *tag)
{
	static const char *const tags[] = { "a",      "abbr",   "acronym", "b",    "bdi",   "bdo",
					    "big",    "cite",   "code",    "data", "del",   "dfn",
					    "em",     "font",   "i",       "ins",  "kbd",   "label",
					    "mark",   "q",      "s",       "samp", "small", "span",
					    "strike", "strong", "sub",     "sup",  "time",  "tt",
					    "u",      "var",    "wbr",     "nobr", "ruby",  "rb" };

	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
		if (strcasecmp(tag, tags[i]) == 0)
			return true;
	return false;
}

/* 1..6 for h1..h6, else 0. All six count as headings in the tree; four are reported. */
static int level_of(const char *tag)
{
	if ((tag[0] == 'h' || tag[0] == 'H') && tag[1] >= '1' && tag[1] <= '6' && tag[2] == '\0')
		return tag[1] - '0';
	return 0;
}

/* White space for a reader: HTML's own, the no-break spaces, and control characters, which a
   terminal would obey. */
static bool is_space(uint32_t point)
{
	return point <= 0x20 || (point >= 0x7F && point <= 0xA0) || point == 0x1680 ||
	       (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 ||
	       point == 0x202F || point == 0x205F || point == 0x3000;
}

/* Characters without a shape, some of which turn round the direction of all that follows them. */
static bool is_invisible(uint32_t point)
{
	return point == 0xAD || point == 0x200B || point == 0x200E || point == 0x200F ||
	       (point >= 0x202A && point <= 0x202E) || (point >= 0x2060 && point <= 0x2069) ||
	       point == 0xFEFF;
}

static void put_point(struct heading_parser *parser, uint32_t point)
{
	static const char ellipsis[] = "\xE2\x80\xA6";

	if (parser->full || is_invisible(point))
		return;
	if (is_space(point)) {
		parser->gap = true;
		return;
	}
	/* A gap, this character and the ellipsis of a later one must fit. */
	if (parser->len + 1 + 4 + strlen(ellipsis) > HEADING_MAX_BYTES) {
		memcpy(parser->text + parser->len, ellipsis, strlen(ellipsis));
		parser->len += strlen(ellipsis);
		parser->full = true;
		return;
	}
	if (parser->gap && parser->len > 0)
		parser->text[parser->len++] = ' ';
	parser->gap = false;
	parser->len += (size_t)utf8_write(point, parser->text + parser->len);
}

static void put_text(struct heading_parser *parser, const xmlChar *text, size_t len)
{
	while (len > 0) {
		uint32_t point;
		int n = utf8_read(text, len, &point);

		if (n ==
		    0) /* libxml2 hands out whole characters; whatever this is, it is not one */
			return;
		put_point(parser, point);
		text += n < 0 ? -n : n;
		len -= (size_t)(n < 0 ? -n : n);
	}
}

static int grow(struct heading_parser *parser, size_t more)
{
	size_t room = parser->room > 0 ? parser->room : 256;
	char *lines;

	while (room - parser->size <= more)
		room *= 2;
	if (room == parser->room)
		return 0;
	lines = realloc(parser->found.lines, room);
	if (lines == NULL)
		return -ENOMEM;
	parser->found.lines = lines;
	parser->room = room;
	return 0;
}

static int keep_heading(struct heading_parser *parser)
{
	if (parser->found.count == HEADINGS_MAX) {
		parser->found.cut = true;
		return 0;
	}
	if (grow(parser, parser->len + 2) < 0)
		return -ENOMEM;
	char *line = parser->found.lines + parser->size;

	line[0] = (char)('0' + parser->level);
	memcpy(line + 1, parser->text, parser->len);
	line[parser->len + 1] = '\n';
	line[parser->len + 2] = '\0';
	parser->size += parser->len + 2;
	parser->found.count++;
	return 0;
}

/* Ends the heading that is open, if one is. One without text is no heading to a reader. */
static void end_heading(struct heading_parser *parser)
{
	if (parser->level >= 1 && parser->level <= 4 && parser->len > 0 && parser->error == 0)
		parser->error = keep_heading(parser);
	parser->level = 0;
}

static void begin_heading(struct heading_parser *parser, int level)
{
	end_heading(parser);
	parser->level = level;
	parser->depth = parser->html->nameNr;
	parser->len = 0;
	parser->gap = false;
	parser->full = false;
}

/* A picture in a heading stands for its alternative text: often it is a logo and all there is. */
static void put_alternative(struct heading_parser *parser, const xmlChar **attributes)
{
	for (; attributes != NULL && attributes[0] != NULL; attributes += 2)
		if (strcasecmp((const char *)attributes[0], "alt") == 0 && attributes[1] != NULL)
			put_text(parser, attributes[1], strlen((const char *)attributes[1]));
}

static void on_start(void *arg, const xmlChar *name, const xmlChar **attributes)
{
	struct heading_parser *parser = arg;
	const char *tag = (const char *)name;

	if (hides(tag))
		parser->hidden++;
	if (parser->hidden > 0)
		return;
	if (level_of(tag) > 0) {
		begin_heading(parser, level_of(tag));
		return;
	}
	if (parser->level == 0 || stays_in_line(tag))
		return;
	parser->gap = true;
	if (strcasecmp(tag, "img") == 0)
		put_alternative(parser, attributes);
	if (strcasecmp(tag, "img") == 0)
		parser->gap = true;
}

/* Whether an end is the parser's own idea, because of a start tag: a paragraph ends a heading in old
   HTML, and does not in today's. Behind an end tag that the page has, the input stands after its >. */
static bool is_implied(const struct heading_parser *parser)
{
	const xmlParserInput *input = parser->html->input;

	return input->cur > input->base && input->cur[-1] != '>';
}

static void on_end(void *arg, const xmlChar *name)
{
	struct heading_parser *parser = arg;
	const char *tag = (const char *)name;

	if (hides(tag)) {
		if (parser->hidden > 0)
			parser->hidden--;
		return;
	}
	if (parser->hidden > 0 || parser->level == 0)
		return;
	if (parser->html->nameNr < parser->depth || (level_of(tag) > 0 && !is_implied(parser)))
		end_heading(parser);
	else if (!stays_in_line(tag))
		parser->gap = true;
}

/* An end tag that closes nothing is known to us by the parser's complaint alone. It cost a search
   through all open elements, and if it is a heading's, it ends the one that is open. */
static void on_stray_end(struct heading_parser *parser, const char *tag)
{
	if (level_of(tag) > 0 && parser->hidden == 0)
		end_heading(parser);
	parser->steps += parser->html->nameNr;
	if (parser->steps <= STEPS_MAX || parser->error < 0)
		return;
	parser->error = -ELOOP;
	xmlStopParser(parser->html);
}

static void on_error(void *arg, const char *format, ...)
{
	struct heading_parser *parser = arg;
	const xmlError *error = xmlCtxtGetLastError(parser->html);

	(void)format;
	/* The same code with a second name is about an end tag that closed something. */
	if (error != NULL && error->code == XML_ERR_TAG_NAME_MISMATCH && error->str1 != NULL &&
	    error->str2 == NULL)
		on_stray_end(parser, error->str1);
}

static void on_text(void *arg, const xmlChar *text, int len)
{
	struct heading_parser *parser = arg;

	if (parser->level > 0 && parser->hidden == 0)
		put_text(parser, text, (size_t)len);
}

bool headings_next(const char **at, struct heading *ret_heading)
{
	const char *line = *at, *end = line != NULL ? strchr(line, '\n') : NULL;

	if (end == NULL || (size_t)(end - line) > sizeof ret_heading->text)
		return false;
	ret_heading->level = line[0] - '0';
	memcpy(ret_heading->text, line + 1, (size_t)(end - line) - 1);
	ret_heading->text[end - line - 1] = '\0';
	*at = end + 1;
	return true;
}

void headings_done(struct headings *headings)
{
	free(headings->lines);
	*headings = (struct headings){ 0 };
}

/* The one failure of libxml2 that does not mean bad HTML, of which there is no lack. */
static int parse(struct heading_parser *parser, const char *text, size_t len, bool last)
{
	if (htmlParseChunk(parser->html, text, (int)len, last) == XML_ERR_NO_MEMORY &&
	    parser->error == 0)
		parser->error = -ENOMEM;
	return parser->error;
}

int heading_parser_open(struct heading_parser **ret_parser)
{
	static const char root[] = "<page>";
	/* What is not set is not called: no tree is built. */
	htmlSAXHandler calls = {
		.error = on_error,
		.startElement = on_start,
		.endElement = on_end,
		.characters = on_text,
		.ignorableWhitespace = on_text,
	};
	struct heading_parser *parser = calloc(1, sizeof *parser);

	if (parser == NULL)
		return -ENOMEM;
	parser->html =
		htmlCreatePushParserCtxt(&calls, parser, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
	if (parser->html == NULL) {
		free(parser);
		return -ENOMEM;
	}
	/* The decoder has read <meta charset> already; read twice, it would garble the page. */
	htmlCtxtUseOptions(parser->html, HTML_PARSE_IGNORE_ENC | HTML_PARSE_RECOVER |
						 HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
						 HTML_PARSE_NOIMPLIED);
	/* The parser stops when all elements are closed, at </html> or at a stray </b> in front. Pages
	   go on behind that, and browsers read on; inside an element of ours it does so too. */
	if (parse(parser, root, strlen(root), false) < 0) {
		heading_parser_close(parser);
		return -ENOMEM;
	}
	*ret_parser = parser;
	return 0;
}

int heading_parser_feed(struct heading_parser *parser, const char *text, size_t len)
{
	return parse(parser, text, len, false);
}

int heading_parser_finish(struct heading_parser *parser, struct headings *ret_headings)
{
	int r = parse(parser, NULL, 0, true);

	if (r < 0)
		return r;
	parser->hidden = 0;
	end_heading(parser);
	if (parser->error < 0)
		return parser->error;
	*ret_headings = parser->found;
	parser->found = (struct headings){ 0 };
	parser->room = 0;
	return 0;
}

void heading_parser_close(struct heading_parser *parser)
{
	if (parser == NULL)
		return;
	htmlFreeParserCtxt(parser->html);
	headings_done(&parser->found);
	free(parser);
}
