/*
 * codec.c - the two compressions of record batch bodies. Alone sees lz4frame.h and zstd.h.
 * Source: Message.fbs, BodyCompression: each buffer is one LZ4 frame or one ZSTD frame.
 */
#include <lz4frame.h>
#include <zstd.h>

#include "batch/decode.h"

static int decompress_lz4(const uint8_t *from, size_t from_size, uint8_t *to, size_t size)
{
	static const LZ4F_decompressOptions_t options = {0};
	LZ4F_dctx *context = NULL;
	size_t read = 0, written = 0, left = 1;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
		return -1;
	while (left) {
		size_t to_room = size - written, from_room = from_size - read;

		left = LZ4F_decompress(context, to + written, &to_room, from + read, &from_room, &options);
		if (LZ4F_isError(left) || (!to_room && !from_room))
			break;
		read += from_room;
		written += to_room;
	}
	LZ4F_freeDecompressionContext(context);
	return left == 0 && written == size ? 0 : -1;
}

int codec_decompress(int codec, const uint8_t *from, size_t from_size, uint8_t *to, size_t size)
{
	size_t written;

	if (codec == 0)
		return decompress_lz4(from, from_size, to, size);
	written = ZSTD_decompress(to, size, from, from_size);
	return !ZSTD_isError(written) && written == size ? 0 : -1;
}
