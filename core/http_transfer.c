#include "core/http_transfer.h"

#include "core/clock.h"
#include "core/mem.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECT_MS 5000
#define TOTAL_MS 30000
#define MAX_BODY ((size_t)8 << 20)

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool is_success(struct http_transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status / 100 == 2;
}

static size_t take_data(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	size_t n = size * count;

	if (t->abandoned)
		return CURL_WRITEFUNC_ERROR;
	if (n > t->max_body - t->seen) {
		t->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	t->seen += n;
	if (t->on_data && is_success(t))
		t->enough = !t->on_data(t->arg, data, n);
	else
		str_addn(&t->body, data, n);
	return t->abandoned || t->enough ? CURL_WRITEFUNC_ERROR : n;
}

/* curl's own limit looks at the mean speed of some seconds, so a burst hides the silence behind it. It stays set as what
 * makes curl look once a second. */
static int check_idle(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	struct http_transfer *t = arg;
	int64_t now = clock_mono_ms();

	(void)dltotal, (void)ultotal;
	if (!t->moved_ms || dlnow + ulnow != t->moved) {
		t->moved = dlnow + ulnow;
		t->moved_ms = now;
	}
	t->idle = now - t->moved_ms >= t->idle_s * 1000;
	return t->idle;
}

/* Scheme, host and port of ${url} without user, path and query; ${host} gets where the host begins. */
static int find_origin(const char *url, char *buf, size_t size, const char **host)
{
	const char *start = strstr(url, "://");

	if (!start)
		return -1;
	int scheme = (int)(start - url);
	if (strncasecmp(url, "http", 4) || (scheme != 4 && (scheme != 5 || (url[4] | 32) != 's')))
		return -1;
	start += 3;
	size_t len = strcspn(start, "/?#\\");
	for (size_t i = len; i > 0; i--) {
		if (start[i - 1] == '@') {
			start += i;
			len -= i;
			break;
		}
	}
	if (!len || len > 255)
		return -1;
	snprintf(buf, size, "%.*s://%.*s", scheme, url, (int)len, start);
	*host = buf + scheme + 3;
	return 0;
}

/* A proxy from the environment is not meant for this machine, whatever no_proxy forgot. */
static bool is_local(const char *host)
{
	size_t name = strcspn(host, ":");

	return (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == name) ||
	       !strncmp(host, "[::1]", 5) || (name == 9 && !strncasecmp(host, "localhost", 9));
}

bool http_is_local(const char *url)
{
	char origin[280];
	const char *host;
	return find_origin(url, origin, sizeof(origin), &host) == 0 && is_local(host);
}

static bool one_line(const char *text)
{
	return !text || !strpbrk(text, "\r\n");
}

static int add_headers(struct http_transfer *t, const struct http_request *req, struct err *err)
{
	/* Telegram and most others never answer 100; curl would wait a second for it. */
	t->headers = curl_slist_append(NULL, "Expect:");
	if (!one_line(req->content_type) || !one_line(req->method))
		return err_set(err, ERR_INVALID, "%s: a header with a line break in it", t->origin);
	if (req->content_type && !req->n_parts) {
		cleanup_free char *line = mem_printf("Content-Type: %s", req->content_type);
		t->headers = curl_slist_append(t->headers, line);
	}
	for (const char *const *h = req->headers; h && *h; h++) {
		if (!one_line(*h))
			return err_set(err, ERR_INVALID, "%s: a header with a line break in it", t->origin);
		t->headers = curl_slist_append(t->headers, *h);
	}
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	return 0;
}

static void add_parts(struct http_transfer *t, const struct http_request *req)
{
	t->mime = curl_mime_init(t->easy);
	for (size_t i = 0; i < req->n_parts; i++) {
		const struct http_part *p = &req->parts[i];
		curl_mimepart *part = curl_mime_addpart(t->mime);

		curl_mime_name(part, p->name);
		curl_mime_data(part, p->data ? p->data : "", p->len);
		if (p->filename)
			curl_mime_filename(part, p->filename);
		if (p->content_type)
			curl_mime_type(part, p->content_type);
	}
	curl_easy_setopt(t->easy, CURLOPT_MIMEPOST, t->mime);
}

/* A body that is a file is read at an offset of our own: curl may begin again, and the descriptor's stays. */
static size_t give_file(char *buf, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	ssize_t n;

	do
		n = pread(t->body_fd, buf, size * count, (off_t)t->sent);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return CURL_READFUNC_ABORT;
	t->sent += n;
	return (size_t)n;
}

static int seek_file(void *arg, curl_off_t offset, int origin)
{
	struct http_transfer *t = arg;

	t->sent = offset;
	return origin == SEEK_SET ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_CANTSEEK;
}

static void add_file(struct http_transfer *t, int fd)
{
	struct stat st = {0};

	fstat(fd, &st);
	t->body_fd = fd;
	curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)st.st_size);
	curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, give_file);
	curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, seek_file);
	curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
}

static size_t give_stream(char *buf, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	ssize_t n = t->give(t->arg, buf, size * count);

	t->withdrawn = n < 0;
	return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

/* Of unknown length: curl sends it in chunks. */
static void add_stream(struct http_transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, give_stream);
	curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
}

static void add_body(struct http_transfer *t, const struct http_request *req)
{
	const char *method = req->method;

	if (req->n_parts) {
		add_parts(t, req);
	} else if (req->body_fd > 0) {
		add_file(t, req->body_fd);
	} else if (req->give) {
		add_stream(t);
	} else if (req->body || req->body_len || (method && !strcmp(method, "POST"))) {
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
		curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, req->body ? req->body : "");
	}
	if (method && !strcmp(method, "HEAD"))
		curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	else if (method)
		curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_limits(struct http_transfer *t, const struct http_request *req)
{
	t->total_ms = req->total_ms == HTTP_NO_LIMIT ? 0 : req->total_ms > 0 ? req->total_ms : TOTAL_MS;
	t->idle_s = req->idle_ms > 0 ? (req->idle_ms + 999) / 1000 : 0;
	t->max_body = req->max_body ? req->max_body : req->on_data ? SIZE_MAX : MAX_BODY;
	t->body = STR_INIT_MAX(t->max_body);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
	                 (long)(req->connect_ms > 0 ? req->connect_ms : CONNECT_MS));
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)t->total_ms);
	if (t->idle_s) {
		curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME, (long)t->idle_s);
		curl_easy_setopt(t->easy, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(t->easy, CURLOPT_XFERINFOFUNCTION, check_idle);
		curl_easy_setopt(t->easy, CURLOPT_XFERINFODATA, t);
	}
	if (t->max_body < INT64_MAX)
		curl_easy_setopt(t->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->max_body);
}

static void set_manners(struct http_transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	/* One connection per transfer: a long poll must not hold up a message that shares HTTP/2 with it. */
	curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/* Otherwise giving up on a name that does not resolve waits for the resolver's thread. */
	curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "codefoundry");
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->detail);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_data);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
}

int http_transfer_init(struct http_transfer *t, CURL *easy, const struct http_request *req, void *arg,
                       struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *host;

	pthread_once(&once, init_curl);
	t->easy = easy ? easy : curl_easy_init();
	t->on_data = req->on_data;
	t->give = req->give;
	t->arg = arg;
	if (!t->easy)
		return err_set(err, ERR_FAILED, "curl cannot be started");
	if (find_origin(req->url, t->origin, sizeof(t->origin), &host))
		return err_set(err, ERR_INVALID, "not an http:// or https:// address");
	if (curl_easy_setopt(t->easy, CURLOPT_URL, req->url))
		return err_set(err, ERR_INVALID, "%s: the address is too long", t->origin);
	if (req->unix_socket || is_local(host))
		curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
	if (req->unix_socket) {
		curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, req->unix_socket);
		snprintf(t->origin, sizeof(t->origin), "%s", req->unix_socket);
	}
	set_manners(t);
	set_limits(t, req);
	add_body(t, req);
	return add_headers(t, req, err);
}

/* What curl found out, for the codes whose text names no part of the path. */
static const struct {
	CURLcode curl;
	enum err_code code;
	bool detail; /* curl's own message adds the name or the certificate's fault */
	const char *text;
} codes[] = {
        {CURLE_COULDNT_RESOLVE_HOST, ERR_NET, true, NULL},
        {CURLE_COULDNT_RESOLVE_PROXY, ERR_NET, true, NULL},
        {CURLE_PEER_FAILED_VERIFICATION, ERR_NET, true, NULL},
        {CURLE_SSL_CONNECT_ERROR, ERR_NET, true, NULL},
        {CURLE_SSL_CACERT_BADFILE, ERR_NET, true, NULL},
        {CURLE_URL_MALFORMAT, ERR_INVALID, false, "not a valid address"},
        {CURLE_UNSUPPORTED_PROTOCOL, ERR_NET, false, "the answer is not HTTP"}, /* also said of HTTP/0.9 */
        {CURLE_GOT_NOTHING, ERR_NET, false, "hung up without an answer"},
        {CURLE_PARTIAL_FILE, ERR_NET, false, "hung up in the middle of the answer"},
};

static int set_timeout(struct http_transfer *t, struct err *err)
{
	curl_off_t sent_us = 0, total_us = 0;

	curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
	curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	if (sent_us == 0)
		return err_set(err, ERR_TIMEOUT, "%s: no connection within %.1f s", t->origin,
		               (double)total_us / 1e6);
	if (t->idle || (t->idle_s && (!t->total_ms || total_us / 1000 < t->total_ms)))
		return err_set(err, ERR_TIMEOUT, "%s: nothing arrived for %lld s", t->origin,
		               (long long)t->idle_s);
	return err_set(err, ERR_TIMEOUT, "%s: no complete answer within %.1f s", t->origin,
	               (double)total_us / 1e6);
}

static int set_error(struct http_transfer *t, CURLcode code, struct err *err)
{
	long errnum = 0;

	if (t->withdrawn)
		return err_set(err, ERR_CANCELLED, "%s: cancelled", t->origin);
	if (t->too_large || code == CURLE_FILESIZE_EXCEEDED)
		return err_set(err, ERR_LIMIT, "%s: the answer is larger than %zu bytes", t->origin,
		               t->max_body);
	if (code == CURLE_OPERATION_TIMEDOUT || t->idle)
		return set_timeout(t, err);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].curl == code)
			return err_set(err, codes[i].code, "%s: %s", t->origin,
			               codes[i].detail && t->detail[0] ? t->detail
			                                               : curl_easy_strerror(code));
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &errnum);
	if (code == CURLE_COULDNT_CONNECT && errnum)
		return err_set(err, ERR_NET, "%s: %s", t->origin, strerror((int)errnum));
	return err_set(err, ERR_NET, "%s: %s", t->origin, curl_easy_strerror(code));
}

bool http_transfer_heard(const struct http_transfer *t, CURLcode code)
{
	long headers = 0;

	curl_easy_getinfo(t->easy, CURLINFO_HEADER_SIZE, &headers);
	return code == CURLE_OK || code == CURLE_UNSUPPORTED_PROTOCOL || headers > 0;
}

int http_transfer_result(struct http_transfer *t, CURLcode code, struct http_response *res, struct err *err)
{
	struct curl_header *retry;
	curl_off_t retry_s = 0;
	char *type = NULL;

	if (code != CURLE_OK && !(t->enough && code == CURLE_WRITE_ERROR))
		return set_error(t, code, err);
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &res->status);
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_s);
	bool given = curl_easy_header(t->easy, "Retry-After", 0, CURLH_HEADER, -1, &retry) == CURLHE_OK;
	res->content_type = type ? type : "";
	res->retry_after_s = given ? retry_s : -1;
	res->body = str_text(&t->body);
	res->len = t->body.len;
	return 0;
}

CURL *http_transfer_free(struct http_transfer *t)
{
	CURL *easy = TAKE(t->easy);

	if (easy)
		curl_easy_reset(easy);
	curl_mime_free(t->mime);
	curl_slist_free_all(t->headers);
	str_free(&t->body);
	return easy;
}
