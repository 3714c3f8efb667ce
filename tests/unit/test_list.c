/* The intrusive list: what walks see. */
#include "pailfs/base/list.h"
#include "unit.h"

struct thing {
	int number;
	struct list link;
};

static struct thing things[8];

static void fill(struct list *head, int count)
{
	list_init(head);
	for (int i = 0; i < count; i++) {
		things[i].number = i;
		list_append(head, &things[i].link);
	}
}

/* The numbers in order, as the digits of one. */
static int digits(struct list *head)
{
	struct thing *t;
	int n = 0;

	list_for_each(t, head, link)
		n = n * 10 + t->number;
	return n;
}

START_TEST(walks_in_order)
{
	struct thing *t = NULL;
	struct list head;

	fill(&head, 0);
	ck_assert(list_empty(&head));
	list_for_each(t, &head, link)
		ck_abort_msg("an empty list has an element");
	list_for_each_safe(t, &head, link)
		ck_abort_msg("an empty list has an element");
	ck_assert_ptr_null(t);
	fill(&head, 5);
	ck_assert_int_eq(digits(&head), 1234);
	ck_assert_ptr_eq(list_first(&head, struct thing, link), &things[0]);
	ck_assert_ptr_eq(list_last(&head, struct thing, link), &things[4]);
	list_remove(&things[0].link);
	list_prepend(&head, &things[0].link);
	list_remove(&things[2].link);
	list_remove(&things[2].link); /* of a node that is in no list: nothing */
	ck_assert_int_eq(digits(&head), 134);
}
END_TEST

START_TEST(walks_while_elements_go)
{
	struct list head, odd = LIST_INIT(odd);
	struct thing *t;

	fill(&head, 8);
	list_for_each_safe(t, &head, link) {
		if (t->number % 2 == 0)
			continue;
		list_remove(&t->link);
		list_append(&odd, &t->link);
	}
	ck_assert_int_eq(digits(&head), 246);
	ck_assert_int_eq(digits(&odd), 1357);
	list_for_each_safe(t, &head, link)
		list_remove(&t->link);
	ck_assert(list_empty(&head));
}
END_TEST

START_TEST(splices)
{
	struct list head, more = LIST_INIT(more);

	fill(&head, 4);
	list_splice(&head, &more);
	ck_assert_int_eq(digits(&head), 123);
	list_remove(&things[0].link);
	list_append(&more, &things[0].link);
	list_splice(&more, &head);
	ck_assert(list_empty(&head));
	ck_assert_int_eq(digits(&more), 123);
	list_splice(&head, &more);
	ck_assert_int_eq(digits(&head), 123);
	ck_assert(list_empty(&more));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("list");
	TCase *tc = tcase_create("list");

	tcase_add_test(tc, walks_in_order);
	tcase_add_test(tc, walks_while_elements_go);
	tcase_add_test(tc, splices);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
