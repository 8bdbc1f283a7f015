#include "serve/encode.h"

#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "serve/accept.h"

/* A server's time is dearer than the last percent of size: the fastest of each. */
#define GZIP_LEVEL 1
#define ZSTD_LEVEL 1
#define GZIP_WINDOW (15 + 16) /* with gzip's header */
#define STEP_BYTES 16384

struct encoder {
	enum encoding encoding;
	z_stream zlib;
	ZSTD_CStream *zstd;
};

const char *encoding_name(enum encoding encoding)
{
	return encoding == ENCODING_GZIP ? "gzip" : encoding == ENCODING_ZSTD ? "zstd" : "identity";
}

bool encoding_choose(const char *accept, enum encoding *ret_encoding)
{
	static const enum encoding order[] = {ENCODING_ZSTD, ENCODING_GZIP, ENCODING_IDENTITY};
	int best = 0;

	*ret_encoding = ENCODING_IDENTITY;
	for (int i = 0; accept && i < 3; i++) {
		int weight = accept_coding(accept, encoding_name(order[i]));

		if (weight > best) {
			best = weight;
			*ret_encoding = order[i];
		}
	}
	return best || !accept;
}

struct encoder *encoder_new(enum encoding encoding, struct error *err)
{
	struct encoder *encoder = calloc(1, sizeof *encoder);
	bool made;

	if (!encoder) {
		error_no_memory(err);
		return NULL;
	}
	encoder->encoding = encoding;
	if (encoding == ENCODING_GZIP) {
		made = deflateInit2(&encoder->zlib, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
	} else {
		encoder->zstd = ZSTD_createCStream();
		made = encoder->zstd && !ZSTD_isError(ZSTD_initCStream(encoder->zstd, ZSTD_LEVEL));
	}
	if (made)
		return encoder;
	ZSTD_freeCStream(encoder->zstd);
	free(encoder);
	error_no_memory(err);
	return NULL;
}

void encoder_free(struct encoder *encoder)
{
	if (!encoder)
		return;
	if (encoder->encoding == ENCODING_GZIP)
		deflateEnd(&encoder->zlib);
	ZSTD_freeCStream(encoder->zstd);
	free(encoder);
}

static int gzip(struct encoder *encoder, const void *bytes, size_t size, int flush, struct buffer *out)
{
	z_stream *zlib = &encoder->zlib;

	zlib->next_in = (Bytef *)(uintptr_t)bytes;
	zlib->avail_in = (uInt)size;
	do {
		char *room = buffer_reserve(out, STEP_BYTES);

		if (!room)
			return -1;
		zlib->next_out = (Bytef *)room;
		zlib->avail_out = STEP_BYTES;
		if (deflate(zlib, flush) == Z_STREAM_ERROR)
			return -1;
		out->size += STEP_BYTES - zlib->avail_out;
		out->data[out->size] = 0;
	} while (!zlib->avail_out);
	return 0;
}

static int zstd(struct encoder *encoder, const void *bytes, size_t size, ZSTD_EndDirective end, struct buffer *out)
{
	ZSTD_inBuffer in = {bytes, size, 0};
	size_t left;

	do {
		char *room = buffer_reserve(out, STEP_BYTES);
		ZSTD_outBuffer to = {room, STEP_BYTES, 0};

		if (!room)
			return -1;
		left = ZSTD_compressStream2(encoder->zstd, &to, &in, end);
		if (ZSTD_isError(left))
			return -1;
		out->size += to.pos;
		out->data[out->size] = 0;
	} while (left || in.pos < in.size);
	return 0;
}

int encoder_put(struct encoder *encoder, const void *bytes, size_t size, struct buffer *out, struct error *err)
{
	int failed = encoder->encoding == ENCODING_GZIP ? gzip(encoder, bytes, size, Z_SYNC_FLUSH, out)
	                                                : zstd(encoder, bytes, size, ZSTD_e_flush, out);

	return failed ? error_no_memory(err) : 0;
}

int encoder_end(struct encoder *encoder, struct buffer *out, struct error *err)
{
	int failed = encoder->encoding == ENCODING_GZIP ? gzip(encoder, "", 0, Z_FINISH, out)
	                                                : zstd(encoder, "", 0, ZSTD_e_end, out);

	return failed ? error_no_memory(err) : 0;
}
