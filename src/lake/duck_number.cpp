/* duck_number.cpp - the fewest digits that read back as the same double, which C's library does not offer. */
#include <charconv>

extern "C" {
int duck_shortest_double(double value, char *to, int size);
}

/* "-1.2345e+07"; the bytes written, 0: there is no room. */
int duck_shortest_double(double value, char *to, int size)
{
	auto result = std::to_chars(to, to + size, value, std::chars_format::scientific);

	return result.ec == std::errc() ? static_cast<int>(result.ptr - to) : 0;
}
