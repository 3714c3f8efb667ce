/* memory.c - what memory this process may use: the machine's, or less where a cgroup says so.
 *
 * A limit holds for all groups below it, so the smallest on the way to the root counts. A
 * container often sees its own group at the root of /sys/fs/cgroup while /proc/self/cgroup
 * still names the host's path, so the way begins at that path and always ends at the root. */
#include "option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

/* The number in a file; UINT64_MAX when there is none, or "max". */
static uint64_t read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long n;
	bool found;

	if (!f)
		return UINT64_MAX;
	found = fscanf(f, "%llu", &n) == 1;
	fclose(f);
	return found ? n : UINT64_MAX;
}

static uint64_t smallest_limit(const char *root, const char *hierarchy, const char *group,
			       const char *file)
{
	char *path = xstrdup(group);
	uint64_t limit = UINT64_MAX;

	for (;;) {
		char *name = xasprintf("%s%s%s/%s", root, hierarchy, path, file);
		uint64_t here = read_number(name);
		char *slash = strrchr(path, '/');

		free(name);
		limit = MIN(limit, here);
		if (!slash)
			break;
		*slash = '\0';
	}
	free(path);
	return limit;
}

static bool has_controller(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (!strncmp(list, name, n) && (list[n] == ',' || !list[n]))
			return true;
	return false;
}

static uint64_t cgroup_limit(const char *root)
{
	char *path = xasprintf("%s/proc/self/cgroup", root);
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t capacity = 0;
	uint64_t limit = UINT64_MAX;

	free(path);
	if (!f)
		return limit;
	/* ID:CONTROLLERS:PATH, a line a hierarchy; version 2 is "0::PATH". */
	while (getline(&line, &capacity, f) > 0) {
		char *controllers = strchr(line, ':'), *group;
		uint64_t here = UINT64_MAX;

		line[strcspn(line, "\n")] = '\0';
		group = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!group)
			continue;
		*controllers++ = '\0';
		*group++ = '\0';
		if (!strcmp(group, "/"))
			group++;
		if (!*controllers)
			here = smallest_limit(root, "/sys/fs/cgroup", group, "memory.max");
		else if (has_controller(controllers, "memory"))
			here = smallest_limit(root, "/sys/fs/cgroup/memory", group,
					      "memory.limit_in_bytes");
		limit = MIN(limit, here);
	}
	free(line);
	fclose(f);
	return limit;
}

static uint64_t machine_memory(const char *root)
{
	char *path = xasprintf("%s/proc/meminfo", root);
	FILE *f = fopen(path, "re");
	unsigned long long kib;
	bool found;

	free(path);
	if (!f)
		return UINT64_MAX;
	found = fscanf(f, "MemTotal: %llu kB", &kib) == 1;
	fclose(f);
	return found ? kib * 1024 : UINT64_MAX;
}

uint64_t memory_allowed(const char *root)
{
	return MIN(cgroup_limit(root), machine_memory(root));
}
