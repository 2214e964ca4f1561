/*
 * fetch_page.c: the task of trenza fetch, one plain function.
 *
 * Design notes. Bytes run from libcurl through the decoder into the parser as they arrive; nothing
 * keeps the page. Who ends a page early (a limit, a wrong type, a wish to stop) sets `error` and
 * makes the callback answer less than it got, which libcurl takes as an order to stop. The transfer
 * is driven by hand instead of by curl_easy_perform because that one cannot be woken.
 */
#include "fetch_page.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <libxml/parser.h>

#include <trenza.h>

#include "decode.h"
#include "headings.h"
#include "session.h"
#include "stop.h"
#include "text.h"

struct transfer {
	CURL *easy;
	struct limits limits;
	tz_deadline deadline;
	struct page page;
	struct decoder *decoder; /* NULL until the first byte of a page that is HTML */
	struct heading_parser *parser;
	long long header_bytes;
	bool out_of_memory;
	char curl_says[CURL_ERROR_SIZE];
};

/* A server may send headers for ever; this many bytes of them are one page's worth. */
enum { HEADER_BYTES_MAX = 1024 * 1024 };

/* Notes why the page failed. The first reason stays: later ones follow from it. Returns -1. */
static int fail(struct transfer *transfer, const char *format, ...) TZ_PRINTF(2, 3);

static int fail(struct transfer *transfer, const char *format, ...)
{
	va_list args;

	if (transfer->page.failed)
		return -1;
	transfer->page.failed = true;
	va_start(args, format);
	if (vasprintf(&transfer->page.error, format, args) < 0)
		transfer->page.error = NULL;
	va_end(args);
	return -1;
}

static const char *status_name(long status)
{
	static const struct {
		long status;
		const char *name;
	} names[] = {
		{ 204, "No Content" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 407, "Proxy Authentication Required" },
		{ 408, "Request Timeout" },
		{ 410, "Gone" },
		{ 418, "I'm a teapot" },
		{ 421, "Misdirected Request" },
		{ 425, "Too Early" },
		{ 426, "Upgrade Required" },
		{ 429, "Too Many Requests" },
		{ 451, "Unavailable For Legal Reasons" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].status == status)
			return names[i].name;
	return "";
}

/* Ends a page that asks to stop, is late or has grown too large. Returns 0 or -1. */
static int check_limits(struct transfer *transfer)
{
	char size[TEXT_SIZE_MAX];

	if (stop_asked())
		return fail(transfer, "interrupted");
	if (transfer->page.bytes > transfer->limits.max_bytes)
		return fail(transfer, "larger than %s",
			    text_bytes(size, transfer->limits.max_bytes));
	if (tz_expired(transfer->deadline))
		return fail(transfer, "not finished after %g s (%s came)", transfer->limits.timeout,
			    text_bytes(size, transfer->page.bytes));
	return 0;
}

static int on_decoded(void *arg, const char *text, size_t len)
{
	struct transfer *transfer = arg;
	int r = heading_parser_feed(transfer->parser, text, len);

	if (r == -ELOOP)
		fail(transfer, "nested too badly to be read");
	if (r == -ENOMEM)
		transfer->out_of_memory = true;
	if (r == 0 && check_limits(transfer) < 0)
		r = -ECANCELED;
	return r;
}

/* Whether `type` (of a Content-Type) is `want`, whatever its parameters are. */
static bool is_type(const char *type, const char *want)
{
	size_t len = strlen(want);

	return strncasecmp(type, want, len) == 0 &&
	       (type[len] == '\0' || type[len] == ';' || isspace((unsigned char)type[len]));
}

static bool looks_like_html(const char *bytes, size_t len)
{
	while (len > 0 &&
	       (isspace((unsigned char)*bytes) || strchr("\xEF\xBB\xBF", *bytes) != NULL)) {
		bytes++;
		len--;
	}
	return len > 0 && *bytes == '<';
}

/* Checks status and type of the answer, with the first bytes of its content. Returns 0 or -1. */
static int check_answer(struct transfer *transfer, const char *bytes, size_t len)
{
	const char *type = NULL;
	char shown[80];
	long status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
	if (status < 200 || status > 299 || status == 204)
		return fail(transfer, "%ld%s%s", status, *status_name(status) != '\0' ? " " : "",
			    status_name(status));
	if (type == NULL || *type == '\0') {
		if (looks_like_html(bytes, len))
			return 0;
		return fail(transfer, "not HTML (the server names no type)");
	}
	if (is_type(type, "text/html") || is_type(type, "application/xhtml+xml"))
		return 0;
	text_clean(shown, sizeof shown, type, strcspn(type, ";"));
	return fail(transfer, "not HTML but %s", shown);
}

static const char *charset_of(const char *type)
{
	if (type == NULL)
		return NULL;
	while (*type != '\0' && strncasecmp(type, "charset=", strlen("charset=")) != 0)
		type++;
	return *type != '\0' ? type + strlen("charset=") : NULL;
}

static int begin_content(struct transfer *transfer, const char *bytes, size_t len)
{
	const char *type = NULL;

	if (check_answer(transfer, bytes, len) < 0)
		return -1;
	curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
	if (heading_parser_open(&transfer->parser) < 0 ||
	    decoder_open(&transfer->decoder, charset_of(type), on_decoded, transfer) < 0) {
		transfer->out_of_memory = true;
		return -1;
	}
	return 0;
}

static size_t on_content(char *bytes, size_t one, size_t len, void *arg)
{
	struct transfer *transfer = arg;

	(void)one; /* is 1, by libcurl's contract */
	if (transfer->decoder == NULL && begin_content(transfer, bytes, len) < 0)
		return 0;
	transfer->page.bytes += (long long)len;
	if (check_limits(transfer) < 0 || decoder_feed(transfer->decoder, bytes, len) < 0)
		return 0;
	return len;
}

static size_t on_header(char *bytes, size_t one, size_t len, void *arg)
{
	struct transfer *transfer = arg;

	(void)bytes;
	(void)one;
	transfer->header_bytes += (long long)len;
	if (transfer->header_bytes <= HEADER_BYTES_MAX)
		return len;
	fail(transfer, "headers without end");
	return 0;
}

static void allow_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

/* What holds for every page. Said once: resetting a handle would leak the list of cookie files. */
static void prepare(struct session *session)
{
	CURL *easy = session->easy;

	if (session->prepared)
		return;
	session->prepared = true;
	allow_protocols(easy);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "trenza/" TEXT_VERSION);
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can unpack */
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Some sites redirect in a circle until a cookie comes back. */
	curl_easy_setopt(easy, CURLOPT_COOKIEFILE, "");
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Without it, giving up a page waits for a name server that does not answer. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_content);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
}

static void describe(struct transfer *transfer, const char *url)
{
	CURL *easy = transfer->easy;
	const struct limits *limits = &transfer->limits;

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, limits->max_redirects);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)limits->max_bytes);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(limits->timeout * 1000));
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(limits->connect_timeout * 1000));
	/* What one page left, the next must not see. */
	curl_easy_setopt(easy, CURLOPT_COOKIELIST, "ALL");
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_says);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
}

/* The result of the only transfer in `multi`; one that is not done was given up by us. */
static CURLcode result_of(CURLM *multi)
{
	int left;
	CURLMsg *message = curl_multi_info_read(multi, &left);

	return message != NULL && message->msg == CURLMSG_DONE ? message->data.result
							       : CURLE_ABORTED_BY_CALLBACK;
}

/* Waits until the transfer can go on, or somebody wishes to stop. */
static int wait_here(CURLM *multi)
{
	struct curl_waitfd wish = { .fd = stop_descriptor(), .events = CURL_WAIT_POLLIN };

	return (int)curl_multi_poll(multi, &wish, wish.fd >= 0, 1000, NULL);
}

TZ_TASK(int, wait_here, CURLM *);

/* The same. A coroutine has it done by a thread that may block, so that its loop goes on with other pages. */
static CURLMcode wait_for_more(CURLM *multi)
{
	int code = (int)CURLM_OUT_OF_MEMORY; /* or there is no thread to have */

	if (tz_loop_current() == NULL)
		return (CURLMcode)wait_here(multi);
	/* Whoever cancels the page has to wait: the thread uses what this one would free. */
	TZ_SHIELD(HUGE_VAL)
	{
		(void)tz_result(tz_to_thread(wait_here, multi), &code);
	}
	return (CURLMcode)code;
}

/* Runs the transfer to its end, or to the first wish to stop. */
static CURLcode drive(struct transfer *transfer, CURLM *multi)
{
	CURLMcode code = curl_multi_add_handle(multi, transfer->easy);
	CURLcode result;
	int running = 1;

	while (code == CURLM_OK && !stop_asked()) {
		code = curl_multi_perform(multi, &running);
		if (code != CURLM_OK || running == 0)
			break;
		code = wait_for_more(multi);
	}
	if (stop_asked())
		fail(transfer, "interrupted");
	result = code == CURLM_OK ? result_of(multi) : CURLE_OUT_OF_MEMORY;
	curl_multi_remove_handle(multi, transfer->easy);
	return result;
}

static void explain_timeout(struct transfer *transfer)
{
	curl_off_t connected = 0;
	char size[TEXT_SIZE_MAX];
	double patience = transfer->limits.timeout;

	curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
	if (connected == 0 && transfer->limits.connect_timeout < patience)
		patience = transfer->limits.connect_timeout;
	if (connected == 0)
		fail(transfer, "no connection after %g s", patience);
	else if (transfer->page.bytes == 0)
		fail(transfer, "no answer after %g s", patience);
	else
		fail(transfer, "not finished after %g s (%s came)", patience,
		     text_bytes(size, transfer->page.bytes));
}

/* A failed connection in the system's words, which are shorter than libcurl's. */
static void explain_connection(struct transfer *transfer)
{
	long error = 0;
	char words[128];

	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
	if (error == 0)
		fail(transfer, "no connection");
	else
		fail(transfer, "no connection: %s", strerror_r((int)error, words, sizeof words));
}

/* Puts into words why libcurl ended the transfer, unless we ended it ourselves and said why. */
static void explain(struct transfer *transfer, CURLcode code)
{
	char text[CURL_ERROR_SIZE], size[TEXT_SIZE_MAX];
	const char *says =
		*transfer->curl_says != '\0' ? transfer->curl_says : curl_easy_strerror(code);

	if (code == CURLE_OK || transfer->page.failed || transfer->out_of_memory)
		return;
	text_clean(text, sizeof text, says, strlen(says));
	switch (code) {
	case CURLE_URL_MALFORMAT:
		fail(transfer, "not a URL");
		return;
	case CURLE_UNSUPPORTED_PROTOCOL:
		if (strncmp(text, "Protocol", strlen("Protocol")) == 0)
			fail(transfer, "only http and https are fetched");
		else
			fail(transfer, "%s", text);
		return;
	case CURLE_COULDNT_RESOLVE_HOST:
		fail(transfer, "no such host");
		return;
	case CURLE_COULDNT_CONNECT:
		explain_connection(transfer);
		return;
	case CURLE_OPERATION_TIMEDOUT:
		explain_timeout(transfer);
		return;
	case CURLE_FILESIZE_EXCEEDED:
		fail(transfer, "larger than %s", text_bytes(size, transfer->limits.max_bytes));
		return;
	case CURLE_TOO_MANY_REDIRECTS:
		fail(transfer, "more than %ld redirects", transfer->limits.max_redirects);
		return;
	case CURLE_GOT_NOTHING:
		fail(transfer, "the server hung up without an answer");
		return;
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
		/* Some versions have a limit of their own for headers, and no code of its own for it. */
		if (strstr(text, "headers") != NULL)
			fail(transfer, "headers without end");
		fail(transfer, "the server hung up after %s",
		     text_bytes(size, transfer->page.bytes));
		return;
	case CURLE_OUT_OF_MEMORY:
		transfer->out_of_memory = true;
		return;
	default:
		fail(transfer, "%s", text);
	}
}

/* Ends the parsers of a page that came to its end; then the page is whole. */
static void finish_content(struct transfer *transfer)
{
	int r;

	if (transfer->decoder == NULL) { /* nothing came: an empty page, if it is one */
		check_answer(transfer, "", 0);
		return;
	}
	r = decoder_finish(transfer->decoder);
	if (r == 0)
		r = heading_parser_finish(transfer->parser, &transfer->page.headings);
	if (r == -ELOOP)
		fail(transfer, "nested too badly to be read");
	if (r == -ENOMEM)
		transfer->out_of_memory = true;
}

static void note_answer(struct transfer *transfer, const char *url)
{
	char *final = NULL, clean[2048];
	long status = 0, redirects = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &final);
	transfer->page.status = (int)status;
	if (transfer->decoder != NULL)
		transfer->page.chars = (long long)decoder_chars(transfer->decoder);
	if (redirects == 0 || final == NULL || strcmp(final, url) == 0)
		return;
	transfer->page.final_url = strdup(text_clean(clean, sizeof clean, final, strlen(final)));
	if (transfer->page.final_url == NULL)
		transfer->out_of_memory = true;
}

static void run_transfer(struct transfer *transfer, const char *url)
{
	struct session *session;
	CURLcode code;

	if (session_take(&session) < 0) {
		transfer->out_of_memory = true;
		return;
	}
	transfer->easy = session->easy;
	prepare(session);
	describe(transfer, url);
	code = drive(transfer, session->multi);
	explain(transfer, code);
	if (code == CURLE_OK && !transfer->page.failed)
		finish_content(transfer);
	note_answer(transfer, url);
	curl_easy_setopt(session->easy, CURLOPT_ERRORBUFFER, NULL); /* it ends with the transfer */
	session_give(session);
}

/* In a process of its own, main() has not done this. */
static void set_up(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	xmlInitParser();
}

static double thread_cpu(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct page fetch_page(const char *url, struct limits limits)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct transfer transfer = { .limits = limits, .deadline = tz_after(limits.timeout) };
	uint64_t start = tz_now();

	pthread_once(&once, set_up);
	transfer.page.cpu = -thread_cpu();
	if (stop_asked())
		fail(&transfer, "interrupted");
	else
		run_transfer(&transfer, url);
	decoder_close(transfer.decoder);
	heading_parser_close(transfer.parser);
	if (transfer.out_of_memory)
		transfer.page.failed = true;
	transfer.page.seconds = (double)(tz_now() - start) / 1e9;
	transfer.page.cpu += thread_cpu();
	return transfer.page;
}

const char *page_error(const struct page *page)
{
	return page->error != NULL ? page->error : "out of memory";
}

void page_done(struct page *page)
{
	free(page->error);
	free(page->final_url);
	headings_done(&page->headings);
	*page = (struct page){ 0 };
}
