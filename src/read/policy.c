/* policy.c - the table of read policies; registering one is one line. */
#include "pailfs/policy.h"

#include <string.h>
#include "pailfs-config.h"

const struct policy *const policy_list[] = {
#ifdef HAVE_POLICY_AUTO
        &policy_auto,
#endif
#ifdef HAVE_POLICY_SEQUENTIAL
        &policy_sequential,
#endif
#ifdef HAVE_POLICY_RANGED
        &policy_ranged,
#endif
        NULL,
};

const struct policy *policy_by_name(const char *name)
{
	for (const struct policy *const *p = policy_list; *p; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	return NULL;
}
