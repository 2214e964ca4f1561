/*
 * pages.c: sixteen invented pages, the same on every machine.
 *
 * Design notes. They have the names of well-known pages and the lengths that these once had, in
 * characters, so that a demonstration works through what a real list would give it; everything they
 * say is made up here. Each has traps in it that a careless reader of headings falls into: headings
 * in a comment, a script, a style sheet and a template, tags and entities inside headings, white
 * space, characters of several bytes.
 */
#include "pages.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOUNS = 6 };

static const struct {
	struct invented known;
	const char *name;
	const char *title;
	const char *nouns[NOUNS]; /* what the page talks about; all plural */
} pages[PAGES] = {
	{ { "/projecteuler.net/", 5194, 6 },
	  "projecteuler.net",
	  "Puzzles for patient machines",
	  { "primes", "lattice paths", "digit sums", "amicable numbers", "puzzles",
	    "short proofs" } },
	{ { "/nabla.mx", 253691, 20 },
	  "nabla.mx",
	  "Cursos de análisis y cómputo",
	  { "derivadas", "matrices", "redes", "curvas", "señales", "mediciones" } },
	{ { "/ocw.mit.edu/index.htm", 54877, 12 },
	  "ocw.mit.edu",
	  "Lectures for everyone",
	  { "lectures", "problem sets", "blackboards", "exams", "reading lists", "recitations" } },
	{ { "/distill.pub/", 39473, 10 },
	  "distill.pub",
	  "Explanations with moving pictures",
	  { "diagrams", "neurons", "activations", "explanations", "animations", "footnotes" } },
	{ { "/github.com", 93492, 14 },
	  "github.com",
	  "Where code is kept",
	  { "branches", "merges", "reviews", "forks", "releases", "bug reports" } },
	{ { "/www.python.org/", 48433, 13 },
	  "www.python.org",
	  "A language with room to breathe",
	  { "generators", "decorators", "modules", "exceptions", "iterators",
	    "context managers" } },
	{ { "/nips.cc/", 48345, 9 },
	  "nips.cc",
	  "A conference in winter",
	  { "papers", "posters", "workshops", "keynotes", "tutorials", "coffee breaks" } },
	{ { "/scikit-learn.org/stable/", 23735, 11 },
	  "scikit-learn.org",
	  "Learning from tables",
	  { "estimators", "pipelines", "forests", "clusters", "splits", "metrics" } },
	{ { "/arxiv.org/", 26543, 5 },
	  "arxiv.org",
	  "Papers before they are papers",
	  { "preprints", "abstracts", "subject lists", "revisions", "withdrawals", "citations" } },
	{ { "/www.nature.com/", 190614, 16 },
	  "www.nature.com",
	  "News from the laboratory",
	  { "glaciers", "telescopes", "enzymes", "fossils", "vaccines", "coral reefs" } },
	{ { "/www.springer.com/gp/book/9780387310732", 54551, 8 },
	  "www.springer.com",
	  "A book on patterns",
	  { "chapters", "kernels", "mixtures", "Gaussians", "exercises", "graphical models" } },
	{ { "/docs.scipy.org/doc/numpy/index.html", 6612, 4 },
	  "docs.scipy.org",
	  "Arrays, explained",
	  { "arrays", "slices", "shapes", "data types", "broadcasts", "strides" } },
	{ { "/online.stanford.edu/", 47573, 11 },
	  "online.stanford.edu",
	  "Courses by the evening lamp",
	  { "courses", "certificates", "seminars", "syllabi", "deadlines", "study groups" } },
	{ { "/keras.io/", 23812, 9 },
	  "keras.io",
	  "Layers upon layers",
	  { "layers", "optimizers", "losses", "callbacks", "checkpoints", "embeddings" } },
	{ { "/math.stackexchange.com/", 272144, 12 },
	  "math.stackexchange.com",
	  "Ask it with a formula",
	  { "integrals", "rings", "inequalities", "series", "manifolds", "counterexamples" } },
	{ { "/lexfridman.com/", 43367, 8 },
	  "lexfridman.com",
	  "Long conversations",
	  { "conversations", "robots", "guests", "questions", "episodes", "chess openings" } },
};

/* A text that grows; `bytes` is NULL after memory has run out. */
struct draft {
	char *bytes;
	size_t len, room;
	size_t chars;
	uint32_t seed;
};

/* A generator of our own: a page must not depend on the C library's. */
static uint32_t roll(struct draft *draft, uint32_t sides)
{
	draft->seed = draft->seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(draft->seed >> 8) * sides >> 24);
}

static size_t chars_of(const char *text)
{
	size_t chars = 0;

	for (; *text != '\0'; text++)
		chars += ((unsigned char)*text & 0xC0) != 0x80;
	return chars;
}

static void put(struct draft *draft, const char *text)
{
	size_t len = strlen(text);

	if (draft->bytes == NULL)
		return;
	if (draft->len + len + 1 > draft->room) {
		size_t room = (draft->len + len + 1) * 2;
		char *bytes = realloc(draft->bytes, room);

		if (bytes == NULL)
			free(draft->bytes);
		draft->bytes = bytes;
		draft->room = room;
		if (bytes == NULL)
			return;
	}
	memcpy(draft->bytes + draft->len, text, len + 1);
	draft->len += len;
	draft->chars += chars_of(text);
}

static void putf(struct draft *draft, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void putf(struct draft *draft, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	put(draft, text);
}

/* Words by length, from 2 characters (not bytes) to 13: prose must come out at a length to the
   character. */
enum { SHORTEST = 2, LONGEST = 13, WORDS_EACH = 4 };

static const char *const words[LONGEST - SHORTEST + 1][WORDS_EACH] = {
	{ "of", "in", "we", "it" },
	{ "the", "and", "one", "año" },
	{ "with", "when", "café", "page" },
	{ "every", "often", "naïve", "paper" },
	{ "thread", "braids", "strand", "façade" },
	{ "waiting", "another", "without", "pattern" },
	{ "question", "together", "jalapeño", "mornings" },
	{ "different", "patiently", "sometimes", "carefully" },
	{ "afterwards", "discovered", "everywhere", "reasonable" },
	{ "measurement", "interesting", "observation", "comfortable" },
	{ "conversation", "increasingly", "occasionally", "independence" },
	{ "approximately", "concentration", "understanding", "investigation" },
};

static void put_word(struct draft *draft, size_t chars, bool capital)
{
	const char *word = words[chars - SHORTEST][roll(draft, WORDS_EACH)];
	char copy[2 * LONGEST + 1];

	snprintf(copy, sizeof copy, "%s", word);
	if (capital)
		copy[0] = (char)toupper((unsigned char)copy[0]);
	put(draft, copy);
}

/* Puts sentences of exactly `chars` characters, 20 or more. */
static void put_prose(struct draft *draft, size_t chars)
{
	size_t in_sentence = 0, sentence = 6 + roll(draft, 9);

	while (chars > LONGEST + 1 + SHORTEST + 1) {
		size_t word = SHORTEST + roll(draft, LONGEST - 3 - SHORTEST + 1);

		put_word(draft, word, in_sentence == 0);
		chars -= word + 1;
		if (++in_sentence == sentence && chars > LONGEST + 1 + SHORTEST + 1) {
			put(draft, ".");
			chars--;
			in_sentence = 0;
			sentence = 6 + roll(draft, 9);
		}
		put(draft, " ");
	}
	if (chars > LONGEST + 1) {
		put_word(draft, SHORTEST, in_sentence == 0);
		put(draft, " ");
		chars -= SHORTEST + 1;
		in_sentence = 1;
	}
	put_word(draft, chars - 1, in_sentence == 0);
	put(draft, ".");
}

/* Puts paragraphs of exactly `chars` characters in all, tags included. */
static void put_paragraphs(struct draft *draft, size_t chars)
{
	static const char open[] = "<p>", close[] = "</p>\n";
	size_t tags = strlen(open) + strlen(close);

	while (chars > 1000) {
		size_t prose = 200 + roll(draft, 400);

		put(draft, open);
		put_prose(draft, prose);
		put(draft, close);
		chars -= prose + tags;
	}
	put(draft, open);
	put_prose(draft, chars - tags);
	put(draft, close);
}

/* Headings: 1 and 2 stand for what the page talks about. */
static const char *const english[] = {
	"Why 1 matter",
	"A short history of 1",
	"1 for beginners",
	"How 1 are made",
	"1 &amp; 2",
	"Where 1 come from",
	"Questions about 1",
	"The trouble with 1",
	"1, step by step",
	"Ten exercises with 1",
	"From 1 to 2",
	"1 without <em>2</em>",
	"What 1 have in common",
	"Notes on <code>1</code>",
	"1 in practice &mdash; and in theory",
};
static const char *const spanish[] = {
	"Por qu&eacute; importan las 1",
	"Breve historia de las 1",
	"1 para principiantes",
	"C&oacute;mo se hacen las 1",
	"1 &amp; 2",
	"De d&oacute;nde vienen las 1",
	"Preguntas sobre 1",
	"El problema de las 1",
	"1, paso a paso",
	"Diez ejercicios con 1",
	"De 1 a 2",
	"1 sin <em>2</em>",
	"Lo que las 1 comparten",
	"Notas sobre <code>1</code>",
	"1 en la pr&aacute;ctica",
};

static void put_pattern(struct draft *draft, const char *pattern, const char *one, const char *two)
{
	bool first = true;

	for (; *pattern != '\0'; pattern++, first = false) {
		const char *text = *pattern == '1' ? one : *pattern == '2' ? two : NULL;

		if (text == NULL)
			putf(draft, "%c", *pattern);
		else
			putf(draft, "%c%s", first ? toupper((unsigned char)*text) : *text,
			     text + 1);
	}
}

static void put_heading(struct draft *draft, int page, int number, int level)
{
	/* 7 and 15 have no common factor, so a page repeats a pattern only after all of them. */
	int choice = (page * 4 + number * 7) % 15;
	const char *const *nouns = pages[page].nouns;
	const char *pattern = page == 1 ? spanish[choice] : english[choice];
	const char *one = nouns[number % NOUNS], *two = nouns[(number + 2) % NOUNS];

	putf(draft, "<h%d id=\"s%d\"", level, number);
	put(draft, number % 3 == 0 ? " class=\"wide > narrow\">" : ">");
	put(draft, number % 4 == 1 ? "\n   " : "");
	put(draft, number % 5 == 2 ? "<a href=\"#top\"><span>" : "");
	put_pattern(draft, pattern, one, two);
	put(draft, number % 5 == 2 ? "</span></a>" : "");
	put(draft, number % 4 == 1 ? "\n" : "");
	putf(draft, "</h%d>\n", level);
}

/* Levels go down by one at most: an outline with holes would look like a mistake of ours. */
static int next_level(struct draft *draft, int level)
{
	static const int down[] = { 0, 2, 3, 4, 4 };
	uint32_t side = roll(draft, 6);

	if (level == 1 || side < 2)
		return down[level];
	if (side < 4)
		return level;
	return 2;
}

static void put_beginning(struct draft *draft, int page)
{
	putf(draft, "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n",
	     page == 1 ? "es" : "en");
	putf(draft, "<title>%s: %s</title>\n", pages[page].name, pages[page].title);
	put(draft, "<style>h1 { color: teal } /* <h1>not a heading</h1> */</style>\n"
		   "<script>var s = \"<h2>not a heading</h2>\"; if (1 < 2) s += s;</script>\n"
		   "</head>\n<body>\n<!-- <h3>not a heading</h3> -->\n"
		   "<template><h4>not a heading</h4></template>\n<main>\n");
	putf(draft, "<h1>%s</h1>\n", pages[page].title);
}

const struct invented *pages_known(int i)
{
	return &pages[i].known;
}

char *pages_make(int i, size_t *ret_bytes)
{
	static const char end[] =
		"</main>\n<footer>This page is invented. It has the name and the length of a "
		"real one, and nothing else of it.</footer>\n</body>\n</html>\n";
	const struct invented *known = &pages[i].known;
	struct draft draft = { .bytes = malloc(1), .room = 1, .seed = (uint32_t)i + 1 };
	int level = 1;

	put_beginning(&draft, i);
	for (int number = 0; number < known->headings; number++) {
		size_t left = known->chars - strlen(end) - draft.chars;

		/* The first heading stands in the beginning; each further one gets its share of
		   what is left. */
		if (number > 0) {
			level = next_level(&draft, level);
			put_heading(&draft, i, number, level);
			left = known->chars - strlen(end) - draft.chars;
		}
		put_paragraphs(&draft, left / (size_t)(known->headings - number));
	}
	put(&draft, end);
	*ret_bytes = draft.len;
	return draft.bytes;
}
