/* lock.h - pthread mutexes that a scope releases.
 *
 *	scoped_lock(&thing->lock);      held until the enclosing block ends
 *
 * The order of locks over the whole program is: names; nodes; reader; cache; an operation of
 * a store; inboxes (docs/design.md has the table). No callback runs under a lock. */
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
