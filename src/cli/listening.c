#include "cli/listening.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

int listening_options(const struct invocation *invocation, const struct manifest *manifest,
                      struct serving_options *ret_options, struct error *err)
{
	*ret_options = (struct serving_options){.manifest = manifest,
	                                        .listen = option_text(invocation, "listen"),
	                                        .certificate = option_text(invocation, "tls-cert"),
	                                        .key = option_text(invocation, "tls-key"),
	                                        .tokens = option_text(invocation, "tokens"),
	                                        .anyone = option_flag(invocation, "anyone"),
	                                        .audit = option_text(invocation, "audit")};
	if (!ret_options->certificate != !ret_options->key)
		return error_set(err, ERROR_INVALID, 0, "--tls-cert and --tls-key: one does not go without the other");
	if (ret_options->anyone && ret_options->tokens)
		return error_set(err, ERROR_INVALID, 0,
		                 "--anyone and --tokens: with one of them the other says nothing");
	return 0;
}

static bool is_near(const char *address)
{
	return !strncmp(address, "127.", 4) || !strncmp(address, "[::1]", 5);
}

void listening_tell(const struct serving *serving)
{
	const char *address = serving_address(serving), *scheme = serving_is_tls(serving) ? "https" : "http";
	const struct first_token *first = serving_first_token(serving);

	if (!serving_is_service(serving)) {
		log_event(EVENT_LISTEN, FIELDS(LOG_TEXT("address", address)),
		          "%s://%s answers /metrics, /healthz and /readyz", scheme, address);
		return;
	}
	log_event(EVENT_LISTEN, FIELDS(LOG_TEXT("address", address)), "%s://%s answers queries%s", scheme, address,
	          serving->options.anyone ? " of everybody on this machine" : "");
	if (!serving_is_tls(serving) && !is_near(address))
		log_event(EVENT_CLEAR, NO_FIELDS,
		          "tokens and answers cross the network in the clear: --tls-cert and --tls-key, or a proxy "
		          "with TLS");
	if (!first)
		return;
	log_event(EVENT_FIRST_TOKEN, FIELDS(LOG_TEXT("file", first->file)),
	          "no token is declared: one that may ask everything is in %s until the end", first->file);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "%s://%s/#token=%s\n", scheme, address, first->token);
}
