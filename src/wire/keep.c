/*
 * keep.c - a message that lives longer than the others it came with: librdkafka's messages of one answer share the
 * answer's buffers, up to all of them unpacked, which the last message lets go of.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/source.h"

/* One block: this, then headers, payload and key. */
struct kept {
	size_t headers_size;
	uint8_t bytes[];
};

static void append_headers(const struct message *message, struct buffer *out)
{
	const struct kept *kept = message->owner;

	buffer_append(out, kept->bytes, kept->headers_size);
}

static void release(struct message *message)
{
	free(message->owner);
}

static const uint8_t *move(uint8_t **to, const void *from, size_t size)
{
	uint8_t *at = *to;

	if (!from)
		return NULL;
	if (size)
		memcpy(at, from, size);
	*to += size;
	return at;
}

int message_keep(struct message *message, struct error *err)
{
	OWNED_BUFFER struct buffer headers = {0};
	size_t broken_size = message->broken ? strlen(message->broken) + 1 : 0;
	struct message copy = *message;
	struct kept *kept;
	uint8_t *to;

	buffer_init(&headers, BUFFER_DEFAULT_MAXIMUM);
	message_headers_json(message, &headers);
	kept = malloc(sizeof *kept + headers.size + message->size + message->key_size + broken_size);
	if (!buffer_ok(&headers) || !kept) {
		free(kept);
		return error_no_memory(err);
	}
	kept->headers_size = headers.size;
	to = kept->bytes;
	move(&to, headers.data, headers.size);
	copy.payload = move(&to, message->payload, message->size);
	copy.key = move(&to, message->key, message->key_size);
	copy.broken = (const char *)move(&to, message->broken, broken_size);
	copy.owner = kept;
	copy.context = NULL;
	copy.release = release;
	copy.headers = headers.size ? append_headers : NULL;
	message_release(message);
	*message = copy;
	return 0;
}
