// SPDX-License-Identifier: GPL-2.0
/*
 * A per-network-namespace subsystem with the appetite of 3.10's nf_conntrack: for every new
 * namespace it makes a slab cache and takes one physically contiguous block (order 6, 256 KiB).
 * No subsystem of a current kernel asks for that much without a fallback, so a test that needs
 * the failure brings its own. It can want many single pages as well, and insist on them or not.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

static unsigned int order = 6;
module_param(order, uint, 0644);
MODULE_PARM_DESC(order, "each network namespace takes one block of 2^order pages");

static unsigned int hold_ms;
module_param(hold_ms, uint, 0444);
MODULE_PARM_DESC(hold_ms, "setting up a network namespace takes this long");

static unsigned int take_mib;
module_param(take_mib, uint, 0644);
MODULE_PARM_DESC(take_mib, "each network namespace takes this much memory in single pages too");

static unsigned int insist = 2;
module_param(insist, uint, 0644);
MODULE_PARM_DESC(insist, "for these pages it 0: doesn't wait, 1: waits but gives up, 2: never gives up");

static char *prefix = "fw_conn_";
module_param(prefix, charp, 0444);
MODULE_PARM_DESC(prefix, "what names of slab caches begin with");

/* A test reads it while it starts one container at a time: no race to lose a count in. */
static unsigned int refused;
module_param(refused, uint, 0444);
MODULE_PARM_DESC(refused, "network namespaces that failed here");

struct fw_net {
	char name[32];
	struct kmem_cache *cache;
	void *table;
	/* Each page begins with the address of the next. */
	void **pages;
};

static unsigned int fw_net_id;
static atomic_t fw_next_cache = ATOMIC_INIT(0);

/* A cache with a constructor is never merged with another of its size, so each one is created. */
static void fw_conn_init(void *object)
{
	memset(object, 0, 320);
}

static void fw_give_back(struct fw_net *fw)
{
	while (fw->pages) {
		void **page = fw->pages;

		fw->pages = *page;
		free_page((unsigned long)page);
	}
}

static noinline int fw_take(struct fw_net *fw)
{
	gfp_t gfp = GFP_KERNEL;
	unsigned long left = (unsigned long)take_mib << (20 - PAGE_SHIFT);

	if (insist == 1)
		gfp |= __GFP_NORETRY;
	else if (!insist)
		gfp = GFP_ATOMIC;
	for (; left; left--) {
		void **page = (void **)__get_free_page(gfp);

		if (!page)
			return -ENOMEM;
		*page = fw->pages;
		fw->pages = page;
	}
	return 0;
}

static int fw_pernet_init(struct net *net)
{
	struct fw_net *fw = net_generic(net, fw_net_id);

	fw->pages = NULL;
	snprintf(fw->name, sizeof(fw->name), "%s%d", prefix, atomic_inc_return(&fw_next_cache));
	fw->cache = kmem_cache_create(fw->name, 320, 0, 0, fw_conn_init);
	if (!fw->cache) {
		refused++;
		return -ENOMEM;
	}

	/* Larger than any kmalloc cache, so this goes straight to the page allocator. */
	fw->table = kmalloc(PAGE_SIZE << order, GFP_KERNEL);
	if (!fw->table || fw_take(fw)) {
		fw_give_back(fw);
		kfree(fw->table);
		kmem_cache_destroy(fw->cache);
		refused++;
		return -ENOMEM;
	}
	if (hold_ms)
		msleep(hold_ms);
	return 0;
}

static void fw_pernet_exit(struct net *net)
{
	struct fw_net *fw = net_generic(net, fw_net_id);

	fw_give_back(fw);
	kfree(fw->table);
	kmem_cache_destroy(fw->cache);
}

static struct pernet_operations fw_pernet_ops = {
	.init = fw_pernet_init,
	.exit = fw_pernet_exit,
	.id = &fw_net_id,
	.size = sizeof(struct fw_net),
};

static int __init fw_init(void)
{
	return register_pernet_subsys(&fw_pernet_ops);
}

static void __exit fw_exit(void)
{
	unregister_pernet_subsys(&fw_pernet_ops);
}

module_init(fw_init);
module_exit(fw_exit);
MODULE_DESCRIPTION("Takes a high-order block and a slab cache for every network namespace");
MODULE_LICENSE("GPL");
