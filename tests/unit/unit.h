/* unit.h - the end of each test program's main. */
#ifndef PAILFS_TESTS_UNIT_H
#define PAILFS_TESTS_UNIT_H

#include <check.h>

/* Runs the suite and frees it; returns the program's exit status. */
static inline int unit_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
