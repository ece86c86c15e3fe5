// SPDX-License-Identifier: GPL-2.0
/*
 * A leak of unmovable pages all over memory: of each large block that it takes it gives back all pages but one
 * in sixteen. So nearly all memory stays free, and no block of order 4 is left of what it took. Processes can't
 * do that to the kernel: their pages take the smallest free blocks first, which are those that the leak left.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#define LARGEST 9
#define SMALLEST 6
#define KEPT 16

static struct page *fw_take(unsigned int *order)
{
	for (*order = LARGEST; *order >= SMALLEST; (*order)--) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, *order);

		if (page)
			return page;
	}
	return NULL;
}

/* Writing a number to the parameter leaks from that many blocks. */
static int fw_leak(const char *text, const struct kernel_param *unused)
{
	unsigned int left;
	int error = kstrtouint(text, 0, &left);

	if (error)
		return error;
	for (; left; left--) {
		unsigned int order, at;
		struct page *page = fw_take(&order);

		/* There is none left to leak from. */
		if (!page)
			return 0;
		split_page(page, order);
		for (at = 0; at < 1U << order; at++) {
			if (at % KEPT)
				__free_page(page + at);
		}
	}
	return 0;
}

static const struct kernel_param_ops fw_leak_ops = {
	.set = fw_leak,
};
module_param_cb(blocks, &fw_leak_ops, NULL, 0200);
MODULE_PARM_DESC(blocks, "what is written here leaks from this many blocks of 2 MiB, or smaller ones when there are none");

static int __init fw_init(void)
{
	return 0;
}

module_init(fw_init);
MODULE_DESCRIPTION("Leaks unmovable pages all over memory");
MODULE_LICENSE("GPL");
