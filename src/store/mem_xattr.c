/* mem_xattr.c - extended attributes in memory: a list an object, under the object's lock. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include "src/store/mem_impl.h"

/* Where the attribute of that name hangs, or where it would. */
static struct mem_xattr **xattr_at(struct mem_object *o, const char *name)
{
	struct mem_xattr **at = &o->xattrs;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

ssize_t mem_getxattr(struct tree_object *base, const char *name, void *value, size_t size)
{
	struct mem_object *o = mem_object(base);
	struct mem_xattr *x;
	ssize_t r = -ENODATA;

	pthread_rwlock_rdlock(&o->lock);
	x = *xattr_at(o, name);
	if (x) {
		r = (ssize_t)x->size;
		if (size && size < x->size)
			r = -ERANGE;
		else if (size && x->size)
			memcpy(value, x->value, x->size);
	}
	pthread_rwlock_unlock(&o->lock);
	return r;
}

ssize_t mem_listxattr(struct tree_object *base, char *list, size_t size)
{
	struct mem_object *o = mem_object(base);
	size_t used = 0;

	pthread_rwlock_rdlock(&o->lock);
	for (struct mem_xattr *x = o->xattrs; x; x = x->next) {
		size_t n = strlen(x->name) + 1;

		if (size && used + n <= size)
			memcpy(list + used, x->name, n);
		used += n;
	}
	pthread_rwlock_unlock(&o->lock);
	return size && used > size ? -ERANGE : (ssize_t)used;
}

/* As of other file systems: the namespaces that we have, with a name behind. ACLs and the like
 * (system.) mean something to the kernel that we would not do. */
static int check_attribute(const char *name)
{
	static const char *const spaces[] = {"user.", "trusted.", "security."};

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		size_t n = strlen(spaces[i]);

		if (!strncmp(name, spaces[i], n))
			return name[n] ? 0 : -EINVAL;
	}
	return -EOPNOTSUPP;
}

int mem_setxattr(struct tree_object *base, const char *name, const void *value, size_t size, int flags)
{
	struct mem_object *o = mem_object(base);
	struct mem_xattr **at;
	int r = check_attribute(name);

	if (r)
		return r;
	pthread_rwlock_wrlock(&o->lock);
	at = xattr_at(o, name);
	if (*at && (flags & XATTR_CREATE)) {
		r = -EEXIST;
	} else if (!*at && (flags & XATTR_REPLACE)) {
		r = -ENODATA;
	} else {
		if (!*at) {
			*at = xcalloc(1, sizeof(**at));
			(*at)->name = xstrdup(name);
		}
		free((*at)->value);
		(*at)->value = xmalloc(MAX(size, 1));
		(*at)->size = size;
		if (size)
			memcpy((*at)->value, value, size);
		o->ctime = mem_now();
	}
	pthread_rwlock_unlock(&o->lock);
	return r;
}

int mem_removexattr(struct tree_object *base, const char *name)
{
	struct mem_object *o = mem_object(base);
	struct mem_xattr **at, *x;

	pthread_rwlock_wrlock(&o->lock);
	at = xattr_at(o, name);
	x = *at;
	if (x) {
		*at = x->next;
		o->ctime = mem_now();
	}
	pthread_rwlock_unlock(&o->lock);
	if (!x)
		return -ENODATA;
	free(x->name);
	free(x->value);
	free(x);
	return 0;
}

void mem_xattrs_free(struct mem_object *o)
{
	while (o->xattrs) {
		struct mem_xattr *x = o->xattrs;

		o->xattrs = x->next;
		free(x->name);
		free(x->value);
		free(x);
	}
}
