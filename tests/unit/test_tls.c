/* What net trusts: a server with a certificate of its own making, and a client that knows it
 * or does not. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/net.h"
#include "trouble_server.h"
#include "unit.h"

struct tls_server {
	SSL_CTX *context;
	pthread_t thread;
	int fd, port;
	bool resets; /* breaking_main */
};

/* Signs itself for `name`, as a CA may. */
static X509 *make_certificate(EVP_PKEY *key, const char *name)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	X509_EXTENSION *extension;

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_set_version(x, 2);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const void *)"test", -1, -1, 0);
	X509_set_issuer_name(x, subject);
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, name);
	X509_add_ext(x, extension, -1);
	X509_EXTENSION_free(extension);
	ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
	return x;
}

/* Breaks off each handshake, by an orderly end or a reset. */
static void *breaking_main(void *data)
{
	struct tls_server *s = data;
	char block[4096];
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		struct linger now = {.l_onoff = 1, .l_linger = 0};

		if (read(fd, block, sizeof(block)) > 0 && s->resets)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(fd);
	}
	return NULL;
}

/* One request a connection, one connection at a time. */
static void *tls_main(void *data)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n"
				     "Connection: close\r\n\r\nsecret";
	struct tls_server *s = data;
	char block[4096];
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		SSL *ssl = SSL_new(s->context);

		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1 && SSL_read(ssl, block, sizeof(block)) > 0) {
			SSL_write(ssl, answer, sizeof(answer) - 1);
			SSL_shutdown(ssl);
		}
		SSL_free(ssl);
		close(fd);
	}
	return NULL;
}

static void tls_start(struct tls_server *s, const char *name, const char *ca_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make_certificate(key, name);
	FILE *f = fopen(ca_path, "w");

	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	ck_assert_ptr_nonnull(f);
	PEM_write_X509(f, certificate);
	fclose(f);
	s->context = SSL_CTX_new(TLS_server_method());
	ck_assert_int_eq(SSL_CTX_use_certificate(s->context, certificate), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(s->context, key), 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
	s->fd = server_listen(AF_INET, &s->port);
	pthread_create(&s->thread, NULL, tls_main, s);
}

static void tls_stop(struct tls_server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	SSL_CTX_free(s->context);
}

struct waiter {
	struct net_request request;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
};

static void waiter_done(struct net_request *r)
{
	struct waiter *w = container_of(r, struct waiter, request);

	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
}

static const struct net_handler handler = {.done = waiter_done};

/* Asks the server twice; w->request has the second answer. */
static void ask(struct waiter *w, const struct tls_server *s, const char *ca_file, bool http2)
{
	struct net_config config = {.loops = 1,
				    .connections = 2,
				    .connect_timeout_ms = 5000,
				    .stall_timeout_ms = 5000,
				    .ca_file = ca_file,
				    .http2 = http2,
				    .clock = &clock_system};
	struct net *net;
	char url[64];

	snprintf(url, sizeof(url), "https://localhost:%d/", s->port);
	*w = (struct waiter){.request = {.handler = &handler, .url = url}};
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->ended, NULL);
	ck_assert_int_eq(net_create(&config, &net), 0);
	for (int i = 0; i < 2; i++) {
		net_start(net, &w->request);
		pthread_mutex_lock(&w->lock);
		while (!w->done)
			pthread_cond_wait(&w->ended, &w->lock);
		w->done = false;
		pthread_mutex_unlock(&w->lock);
	}
	net_destroy(net);
	w->request.url = NULL;
}

static const struct {
	const char *names; /* the certificate's */
	bool known, http2; /* is it the ca_file? */
	int error;
} cases[] = {
	{"DNS:localhost", true, false, 0},
	{"DNS:localhost", true, true, 0}, /* the server knows HTTP/1.1 only */
	{"DNS:localhost", false, false, -EPROTO},
	{"DNS:elsewhere.example", true, false, -EPROTO},
};

START_TEST(trusts_what_it_should)
{
	char path[] = "/tmp/test_tls.XXXXXX";
	struct tls_server s;
	struct waiter w;

	ck_assert_int_ge(close(mkstemp(path)), 0);
	tls_start(&s, cases[_i].names, path);
	ask(&w, &s, cases[_i].known ? path : NULL, cases[_i].http2);
	ck_assert_int_eq(w.request.error, cases[_i].error);
	ck_assert_int_eq(w.request.status, cases[_i].error ? 0 : 200);
	ck_assert_uint_eq(w.request.received, cases[_i].error ? 0 : 6);
	if (cases[_i].error)
		ck_assert_msg(strstr(w.request.error_text, "certificate"), "%s",
			      w.request.error_text);
	tls_stop(&s);
	unlink(path);
}
END_TEST

/* A reset in the handshake passes as any other does; a certificate that is not trusted hardly. */
START_TEST(a_broken_handshake_is_no_wrong_certificate)
{
	struct tls_server s = {.resets = _i};
	struct waiter w;

	s.fd = server_listen(AF_INET, &s.port);
	pthread_create(&s.thread, NULL, breaking_main, &s);
	ask(&w, &s, NULL, false);
	ck_assert_msg(w.request.error == -ECONNABORTED, "%d: %s", w.request.error, w.request.error_text);
	ck_assert_int_eq(w.request.status, 0);
	shutdown(s.fd, SHUT_RDWR);
	pthread_join(s.thread, NULL);
	close(s.fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls");
	TCase *tc = tcase_create("tls");

	unsetenv("AWS_CA_BUNDLE");
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, trusts_what_it_should, 0, ARRAY_SIZE(cases));
	tcase_add_loop_test(tc, a_broken_handshake_is_no_wrong_certificate, 0, 2);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
