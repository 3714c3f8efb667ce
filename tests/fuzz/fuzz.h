/* fuzz.h - what every fuzz target defines, and how it states what must hold. */
#ifndef PAILFS_TESTS_FUZZ_H
#define PAILFS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input; returns 0. Whatever the bytes are, no property may fail and nothing may leak. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(property)                                                                      \
	do {                                                                                \
		if (!(property)) {                                                          \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,   \
			        #property);                                                 \
			abort();                                                            \
		}                                                                           \
	} while (0)

#endif
