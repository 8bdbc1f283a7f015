/*
 * http_tls.c - certificates that may change while connections go on: each handshake asks for them anew.
 *
 * GnuTLS gives its callback no context, so that there is one set of certificates in a process.
 */
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "serve/http_private.h"
#include "serve/stamp.h"

#define PEM_BYTES_MAX ((size_t)1 << 20)
#define CHAIN_MAX 16

struct certificates {
	char *certificate, *key; /* paths */
	struct stamp certificate_stamp, key_stamp;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buffer chain_pem, key_pem; /* what handshakes take; under the lock */
static bool taken;

static gnutls_datum_t datum(const struct buffer *buffer)
{
	return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)buffer_string(buffer),
	                        .size = (unsigned)buffer->size};
}

/* Do they parse, and belong together? */
static int check_pair(const struct buffer *chain, const struct buffer *key, const char *name, struct error *err)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_datum_t chain_datum = datum(chain), key_datum = datum(key);
	int status = gnutls_certificate_allocate_credentials(&credentials);

	if (status < 0)
		return error_no_memory(err);
	status = gnutls_certificate_set_x509_key_mem(credentials, &chain_datum, &key_datum, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(credentials);
	return status < 0 ? error_set(err, ERROR_INVALID, status, "%s and its key: %s", name, gnutls_strerror(status))
	                  : 0;
}

static int read_pair(const struct certificates *certificates, struct error *err)
{
	OWNED_BUFFER struct buffer chain = {0};
	OWNED_BUFFER struct buffer key = {0};
	struct buffer old_chain, old_key;

	buffer_init(&chain, PEM_BYTES_MAX);
	buffer_init(&key, PEM_BYTES_MAX);
	if (stamp_read(certificates->certificate, &chain, err) || stamp_read(certificates->key, &key, err) ||
	    check_pair(&chain, &key, certificates->certificate, err))
		return -1;
	pthread_mutex_lock(&lock);
	old_chain = chain_pem;
	old_key = key_pem;
	chain_pem = chain;
	key_pem = key;
	pthread_mutex_unlock(&lock);
	chain = old_chain;
	if (old_key.data)
		explicit_bzero(old_key.data, old_key.size);
	key = old_key;
	return 0;
}

struct certificates *certificates_load(const char *certificate, const char *key, struct error *err)
{
	struct certificates *certificates = taken ? NULL : calloc(1, sizeof *certificates);

	if (!certificates) {
		error_set(err, ERROR_FATAL, 0, "there is a server with TLS in this process already, or no memory");
		return NULL;
	}
	certificates->certificate = strdup(certificate);
	certificates->key = strdup(key);
	if (!certificates->certificate || !certificates->key)
		error_no_memory(err);
	else {
		stamp_look(&certificates->certificate_stamp, certificate);
		stamp_look(&certificates->key_stamp, key);
		if (!read_pair(certificates, err)) {
			taken = true;
			return certificates;
		}
	}
	free(certificates->certificate);
	free(certificates->key);
	free(certificates);
	return NULL;
}

void certificates_free(struct certificates *certificates)
{
	if (!certificates)
		return;
	pthread_mutex_lock(&lock);
	buffer_release(&chain_pem);
	if (key_pem.data)
		explicit_bzero(key_pem.data, key_pem.size);
	buffer_release(&key_pem);
	taken = false;
	pthread_mutex_unlock(&lock);
	free(certificates->certificate);
	free(certificates->key);
	free(certificates);
}

void certificates_look(struct certificates *certificates)
{
	bool changed = stamp_look(&certificates->certificate_stamp, certificates->certificate);
	struct error err = {0};

	changed |= stamp_look(&certificates->key_stamp, certificates->key);
	if (!changed)
		return;
	if (read_pair(certificates, &err))
		log_event(EVENT_CERTIFICATE_WRONG, NO_FIELDS, "the certificate stays as it was: %s", err.message);
	else
		log_event(EVENT_CERTIFICATE, NO_FIELDS, "new connections get the renewed certificate");
}

/* What GnuTLS frees after the handshake must be of gnutls_malloc. */
static int import_chain(gnutls_pcert_st **ret_chain, unsigned *ret_count)
{
	gnutls_datum_t pem = datum(&chain_pem);
	gnutls_pcert_st *chain = gnutls_malloc(CHAIN_MAX * sizeof *chain);

	*ret_count = CHAIN_MAX;
	if (!chain)
		return -1;
	if (gnutls_pcert_list_import_x509_raw(chain, ret_count, &pem, GNUTLS_X509_FMT_PEM, 0) < 0) {
		gnutls_free(chain);
		return -1;
	}
	*ret_chain = chain;
	return 0;
}

static int import_key(gnutls_privkey_t *ret_key)
{
	gnutls_datum_t pem = datum(&key_pem);

	if (gnutls_privkey_init(ret_key) < 0)
		return -1;
	if (gnutls_privkey_import_x509_raw(*ret_key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0) >= 0)
		return 0;
	gnutls_privkey_deinit(*ret_key);
	return -1;
}

static int retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **ret_chain,
                    unsigned *ret_count, gnutls_ocsp_data_st **ret_ocsp, unsigned *ret_ocsp_count,
                    gnutls_privkey_t *ret_key, unsigned *flags)
{
	int failed;

	*ret_ocsp = NULL;
	*ret_ocsp_count = 0;
	*flags |= GNUTLS_CERT_RETR_DEINIT_ALL;
	pthread_mutex_lock(&lock);
	failed = import_key(ret_key);
	if (!failed && import_chain(ret_chain, ret_count)) {
		gnutls_privkey_deinit(*ret_key);
		failed = -1;
	}
	pthread_mutex_unlock(&lock);
	return failed;
}

void *certificates_callback(void)
{
	return (void *)retrieve;
}

/* ---- bytes past libmicrohttpd */

static ssize_t send_some(gnutls_session_t session, int fd, const void *bytes, size_t size)
{
	ssize_t sent;

	if (!session) {
		sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
	}
	sent = gnutls_record_send(session, bytes, size);
	return sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED ? 0 : sent;
}

int http_send_raw(struct MHD_Connection *connection, int fd, const void *bytes, size_t size, int patience_ms)
{
	const union MHD_ConnectionInfo *tls = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	int64_t until = clock_monotonic_ms() + patience_ms;

	while (size) {
		ssize_t sent = send_some(tls ? tls->tls_session : NULL, fd, bytes, size);
		int64_t left = until - clock_monotonic_ms();
		struct pollfd writable = {.fd = fd, .events = POLLOUT};

		if (sent < 0 || (!sent && left <= 0))
			return -1;
		if (!sent)
			poll(&writable, 1, (int)left);
		bytes = (const char *)bytes + sent;
		size -= (size_t)sent;
	}
	return 0;
}
