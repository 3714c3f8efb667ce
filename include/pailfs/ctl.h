/* ctl.h - how pailctl talks to a mount: an ioctl on MOUNTPOINT/.pailfs/ctl, which is opened
 * read-only, because a read-only mount refuses anything else before its daemon sees it.
 *
 * A FUSE file system gets ioctls whose number says how large their argument is, at most
 * 16383 bytes, copied in and out by the kernel; so a message has one fixed size, and what is
 * longer goes in several. The ioctl itself returns 0 when the message was understood, and
 * `result` tells what became of the command. Messages are the same on every architecture of
 * one byte order. */
#ifndef PAILFS_CTL_H
#define PAILFS_CTL_H

#include <linux/ioctl.h>
#include <stdint.h>

#define CTL_FILE ".pailfs/ctl"

enum { CTL_VERSION = 1, CTL_PATH_SIZE = 4000, CTL_DATA_SIZE = 12288 };

enum ctl_command {
	/* → data: the program's version; daemon: its process ID, in its own namespace. */
	CTL_HELLO = 1,
	/* path: a file → data: lines on what the read engine saw and chose for it. */
	CTL_WHY = 2,
	/* path: a file or directory, or what is believed to be neither. Forgets what is believed of
	 * it and of all below it. */
	CTL_REFRESH = 3,
	/* path: a file; data: a policy's name, or nothing to ask → data: the policy in force. */
	CTL_POLICY = 4,
	/* Returns when all that was written is where it belongs → data: a line when something
	 * could not be, and where it is kept. */
	CTL_FLUSH = 6,
};

struct ctl_message {
	uint32_t version;         /* CTL_VERSION; another one is answered with -EPROTO */
	uint32_t command;
	int32_t result;           /* out: 0 or -errno; -EOPNOTSUPP for a command that it lacks */
	uint32_t length;          /* bytes in data, both ways; on failure a sentence is there */
	uint64_t daemon;          /* out, of CTL_HELLO */
	char path[CTL_PATH_SIZE]; /* below the mount point, without '/' at either end; "" is the
	                           * mount itself; ends with a NUL */
	char data[CTL_DATA_SIZE];
};

#define CTL_IOCTL _IOWR('p', 1, struct ctl_message)

/* On an open file of a store that can write ranges; the argument is CTL_VERSION. Makes the
 * descriptor strict: what is written through it past the page cache (O_DIRECT) never extends the
 * file, but is -EINVAL where it does not lie inside. */
#define CTL_STRICT _IOW('p', 2, uint32_t)

_Static_assert(sizeof(struct ctl_message) < 1 << _IOC_SIZEBITS, "an ioctl carries no more");

#endif
