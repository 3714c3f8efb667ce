/* mountinfo.h - which mount a path lies on, as /proc/self/mountinfo tells it.
 *
 * It answers without touching the file system in question, so it works where a mount's
 * daemon is gone or hangs. */
#ifndef PAILFS_BASE_MOUNTINFO_H
#define PAILFS_BASE_MOUNTINFO_H

#include <stdio.h>

struct mountinfo {
	char *point;  /* where it is mounted */
	char *type;   /* "ext4", "fuse.pailfs" … */
	char *source;
};

/* Finds, in a file of mountinfo's form, the mount that `path` lies on: the one mounted last
 * on the longest directory above or at it. `path` is absolute, without "." and ".." and
 * symbolic links. Returns 0, or -ENOENT without one; release it then all the same. */
int mountinfo_find(FILE *f, const char *path, struct mountinfo *out);
void mountinfo_release(struct mountinfo *m);

#endif
