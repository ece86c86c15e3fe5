// SPDX-License-Identifier: GPL-2.0
/*
 * Large allocations that may fail, by the hundred: a subsystem that tries for large blocks whenever
 * a network namespace is made and does without them, a kernel thread that does the same all the
 * time, and a parameter that does it at once. It is what kvmalloc, SLUB and vmalloc do on a fragmented node, at a rate that can be set.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <net/net_namespace.h>

static unsigned int order = 9;
module_param(order, uint, 0444);
MODULE_PARM_DESC(order, "each block has 2^order pages");

static unsigned int tries = 1;
module_param(tries, uint, 0644);
MODULE_PARM_DESC(tries, "each network namespace tries for this many blocks");

static bool must;
module_param(must, bool, 0644);
MODULE_PARM_DESC(must, "a network namespace that doesn't get its blocks fails");

static bool storm;
module_param(storm, bool, 0444);
MODULE_PARM_DESC(storm, "a kernel thread tries for blocks until the module goes");

static bool small;
module_param(small, bool, 0444);
MODULE_PARM_DESC(small, "blocks are of the zone for old devices, without waiting, and the module holds all of it");

/* Counts for tests; a few lost to a race would do no harm, but there is one thread. */
static unsigned long failed_inside;
module_param(failed_inside, ulong, 0444);
MODULE_PARM_DESC(failed_inside, "allocations that failed while a network namespace was made");

static unsigned long failed_outside;
module_param(failed_outside, ulong, 0444);
MODULE_PARM_DESC(failed_outside, "allocations that failed in the kernel thread or in a burst");

static struct task_struct *thread;

/* That zone has 16 MiB. */
static struct page *held[64];
static unsigned int holds;

/* The mask of an attempt that has something to fall back to. */
static noinline bool fw_try(void)
{
	gfp_t gfp = small ? GFP_DMA | GFP_NOWAIT : GFP_KERNEL;
	struct page *page = alloc_pages(gfp | __GFP_NOWARN | __GFP_NORETRY, order);

	if (!page)
		return false;
	__free_pages(page, order);
	return true;
}

/* Takes the blocks that are there, so that no attempt finds one. */
static void fw_hold(void)
{
	while (holds < ARRAY_SIZE(held)) {
		struct page *page = alloc_pages(GFP_DMA | GFP_NOWAIT | __GFP_NOWARN, order);

		if (!page)
			return;
		held[holds++] = page;
	}
}

static void fw_let_go(void)
{
	while (holds)
		__free_pages(held[--holds], order);
}

/* Writing a number to the parameter tries for that many blocks at once. */
static int fw_burst(const char *text, const struct kernel_param *unused)
{
	unsigned int left;
	int error = kstrtouint(text, 0, &left);

	if (error)
		return error;
	for (; left; left--) {
		if (!fw_try())
			failed_outside++;
	}
	return 0;
}

static const struct kernel_param_ops fw_burst_ops = {
	.set = fw_burst,
};
module_param_cb(burst, &fw_burst_ops, NULL, 0200);
MODULE_PARM_DESC(burst, "what is written here tries for this many blocks");

static int fw_flood_init(struct net *net)
{
	unsigned int i;
	bool got_all = true;

	for (i = 0; i < tries; i++) {
		if (!fw_try()) {
			failed_inside++;
			got_all = false;
		}
	}
	return must && !got_all ? -ENOMEM : 0;
}

static struct pernet_operations fw_flood_ops = {
	.init = fw_flood_init,
};

static int fw_storm(void *unused)
{
	while (!kthread_should_stop()) {
		if (!fw_try())
			failed_outside++;
		/* A busy node, not a hung one. */
		usleep_range(200, 400);
	}
	return 0;
}

static int __init fw_init(void)
{
	int error = register_pernet_subsys(&fw_flood_ops);

	if (error)
		return error;
	if (small)
		fw_hold();
	if (!storm)
		return 0;
	thread = kthread_run(fw_storm, NULL, "fw_storm");
	if (IS_ERR(thread)) {
		unregister_pernet_subsys(&fw_flood_ops);
		fw_let_go();
		return PTR_ERR(thread);
	}
	return 0;
}

static void __exit fw_exit(void)
{
	if (thread)
		kthread_stop(thread);
	unregister_pernet_subsys(&fw_flood_ops);
	fw_let_go();
}

module_init(fw_init);
module_exit(fw_exit);
MODULE_DESCRIPTION("Makes high-order allocations with a fallback fail");
MODULE_LICENSE("GPL");
