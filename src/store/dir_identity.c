/* dir_identity.c - creating on behalf of the calling process (W16).
 *
 * A daemon that runs as root would create everything as root. chown afterwards is no way
 * out: it is not atomic, and the parent's setgid rule, quota and default ACLs are applied at
 * creation. So the thread takes on the caller's file system identity for the one system call.
 * That identity belongs to a thread in Linux; glibc's wrappers of the set*id family would
 * change all threads, so the bare system calls are used.
 *
 * A change of fsuid to a user takes the file capabilities from the effective set. All but
 * one of them are raised again: the kernel has checked the caller's permissions on the mount
 * itself (default_permissions), and checking them again here would need the supplementary
 * groups, at the price of reading /proc for each creation. CAP_FSETID stays down, since it
 * decides whether sgid bits survive; there the groups do matter, and only there they are
 * fetched. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "pailfs/base/log.h"
#include "src/store/dir_impl.h"

enum { MAX_GROUPS = 65536 };

#define FILE_CAPABILITIES                                                                   \
	(1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER | \
	 1u << CAP_LINUX_IMMUTABLE | 1u << CAP_MKNOD)

static int capabilities_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) ? -errno : 0;
}

static int capabilities_set(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

bool dir_identity_possible(void)
{
	struct __user_cap_data_struct caps[2];
	const unsigned needed = 1u << CAP_SETUID | 1u << CAP_SETGID;

	return geteuid() == 0 && !capabilities_get(caps) && (caps[0].effective & needed) == needed;
}

/* Whether the bits ask what groups the caller is in (mode_strip_sgid in the kernel). */
static bool groups_matter(mode_t mode)
{
	return S_ISREG(mode) && (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

static int take_groups(const struct tree_caller *caller)
{
	gid_t some[64], *list = some;
	int n = caller->groups(caller, list, ARRAY_SIZE(some));

	if (n > (int)ARRAY_SIZE(some)) {
		list = xmalloc(MAX_GROUPS * sizeof(*list));
		n = caller->groups(caller, list, MAX_GROUPS);
		n = MIN(n, MAX_GROUPS);
	}
	/* Without knowledge of the groups, none: the bit is dropped rather than given. */
	n = MAX(n, 0);
	n = syscall(SYS_setgroups, (size_t)n, list) ? -errno : 0;
	if (list != some)
		free(list);
	return n;
}

int dir_identity_enter(struct dir_tree *t, const struct tree_caller *caller, mode_t mode,
                       struct dir_identity *id)
{
	struct __user_cap_data_struct caps[2];
	int r = 0;

	*id = (struct dir_identity){0};
	if (!t->assume || !caller || (!caller->uid && !caller->gid))
		return 0;
	if (caller->groups && groups_matter(mode)) {
		r = take_groups(caller);
		if (r)
			return r;
		id->groups = true;
	}
	id->assumed = true;
	syscall(SYS_setfsgid, caller->gid);
	syscall(SYS_setfsuid, caller->uid);
	r = capabilities_get(caps);
	if (!r) {
		caps[0].effective |= caps[0].permitted & FILE_CAPABILITIES;
		r = capabilities_set(caps);
	}
	if (r)
		dir_identity_leave(id);
	return r;
}

void dir_identity_leave(struct dir_identity *id)
{
	if (!id->assumed)
		return;
	/* Back to fsuid 0 raises the file capabilities that are permitted. */
	syscall(SYS_setfsuid, 0);
	syscall(SYS_setfsgid, 0);
	if (id->groups && syscall(SYS_setgroups, (size_t)0, NULL))
		log_error(LOG_STORE, "setgroups: this thread keeps a caller's groups");
	id->assumed = false;
}
