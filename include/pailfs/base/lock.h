/* lock.h - pthread mutexes that a scope releases.
 *
 *	scoped_lock(&thing->lock);      held until the enclosing block ends
 *
 * Lock order over the whole program: names, fs, object (reader), cache shard. A lock is
 * dropped before a callback runs or a message is posted to an inbox. */
#ifndef PAILFS_BASE_LOCK_H
#define PAILFS_BASE_LOCK_H

#include <pthread.h>

static inline void scoped_unlock_(pthread_mutex_t **m)
{
	if (*m)
		pthread_mutex_unlock(*m);
}

static inline pthread_mutex_t *scoped_lock_(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}

#define LOCK_NAME2_(line) scoped_lock_at_##line
#define LOCK_NAME_(line) LOCK_NAME2_(line)
#define scoped_lock(m)                                                        \
	pthread_mutex_t *LOCK_NAME_(__LINE__)                                  \
	        __attribute__((cleanup(scoped_unlock_), unused)) = scoped_lock_(m)

#endif
