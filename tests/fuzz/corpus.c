/* corpus.c - runs a fuzz target over the files of a directory, without libFuzzer.
 *
 * Each seed goes in whole, cut short at every byte (a connection may end anywhere) and with
 * each byte turned over, so that a compiler without libFuzzer finds the nearest faults too.
 * Each variant is a block of its own length, whose end a sanitizer guards. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include "fuzz.h"

#define MAX_SEED (64 * 1024)
#define MAX_VARIED 4096 /* of a longer seed only this many bytes are cut and turned */

static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	must(copy);
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run_variants(uint8_t *data, size_t size)
{
	size_t varied = size < MAX_VARIED ? size : MAX_VARIED;

	for (size_t i = 0; i < varied; i++) {
		run(data, i);
		data[i] ^= 0xff;
		run(data, size);
		data[i] ^= 0xff;
	}
	run(data, size);
}

static int run_file(const char *directory, const char *name)
{
	static uint8_t data[MAX_SEED];
	char path[4096];
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	run_variants(data, size);
	return 0;
}

int main(int argc, char **argv)
{
	size_t count = 0;
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		DIR *directory = opendir(argv[i]);
		struct dirent *entry;

		if (!directory) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
			return 1;
		}
		while ((entry = readdir(directory))) {
			if (entry->d_name[0] == '.')
				continue;
			failed |= run_file(argv[i], entry->d_name);
			count++;
		}
		closedir(directory);
	}
	printf("%zu seeds\n", count);
	/* A corpus that was not found tests nothing. */
	return failed || !count;
}
