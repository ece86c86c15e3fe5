// SPDX-License-Identifier: GPL-2.0
/*
 * A link type, a file system and a format of executables, each of which takes one physically contiguous
 * block (order 6, 256 KiB) for a moment: as veth did up to 2024 on machines with many processors. No mount and no
 * execution of a current kernel asks for that much without a fallback.
 */
#include <linux/binfmts.h>
#include <linux/etherdevice.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/version.h>
#include <net/rtnetlink.h>

static unsigned int order = 6;
module_param(order, uint, 0644);
MODULE_PARM_DESC(order, "each step takes one block of 2^order pages");

/* Larger than any kmalloc cache, so this goes straight to the page allocator. */
static int fw_take_block(void)
{
	void *block = kmalloc(PAGE_SIZE << order, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	kfree(block);
	return 0;
}

/* Each block begins with the address of the next. */
static void **fw_hoard;

static int fw_hoard_set(const char *value, const struct kernel_param *parameter)
{
	void **block;

	while ((block = kmalloc(PAGE_SIZE << order, GFP_KERNEL | __GFP_NOWARN))) {
		*block = fw_hoard;
		fw_hoard = block;
	}
	return 0;
}

static const struct kernel_param_ops fw_hoard_ops = {
	.set = fw_hoard_set,
};

module_param_cb(hoard, &fw_hoard_ops, NULL, 0200);
MODULE_PARM_DESC(hoard, "whatever is written to it: all blocks of that size are taken and kept");

/* The link type. */

static netdev_tx_t fw_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops fw_netdev_ops = {
	.ndo_start_xmit = fw_xmit,
};

static void fw_link_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &fw_netdev_ops;
	dev->needs_free_netdev = true;
	eth_hw_addr_random(dev);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
static int fw_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
		      struct netlink_ext_ack *extack)
#else
static int fw_newlink(struct net *net, struct net_device *dev, struct nlattr *tb[],
		      struct nlattr *data[], struct netlink_ext_ack *extack)
#endif
{
	int err = fw_take_block();

	return err ? err : register_netdevice(dev);
}

static struct rtnl_link_ops fw_link_ops = {
	.kind = "fragwatch",
	.setup = fw_link_setup,
	.newlink = fw_newlink,
};

/* The file system. */

static int fw_fill_super(struct super_block *sb, struct fs_context *fc)
{
	static const struct tree_descr nothing[] = { { "" } };
	int err = fw_take_block();

	return err ? err : simple_fill_super(sb, 0x46574653, nothing);
}

static int fw_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, fw_fill_super);
}

static const struct fs_context_operations fw_context_ops = {
	.get_tree = fw_get_tree,
};

static int fw_init_fs_context(struct fs_context *fc)
{
	fc->ops = &fw_context_ops;
	return 0;
}

static struct file_system_type fw_fs_type = {
	.owner = THIS_MODULE,
	.name = "fragwatch",
	.init_fs_context = fw_init_fs_context,
	.kill_sb = kill_anon_super,
};

/* The format of executables: files that begin with FWEX, which come to nothing. */

static int fw_load_binary(struct linux_binprm *bprm)
{
	int err;

	if (memcmp(bprm->buf, "FWEX", 4))
		return -ENOEXEC;
	err = fw_take_block();
	return err ? err : -ENOEXEC;
}

static struct linux_binfmt fw_format = {
	.module = THIS_MODULE,
	.load_binary = fw_load_binary,
};

static int __init fw_init(void)
{
	int err = rtnl_link_register(&fw_link_ops);

	if (err)
		return err;
	err = register_filesystem(&fw_fs_type);
	if (err) {
		rtnl_link_unregister(&fw_link_ops);
		return err;
	}
	insert_binfmt(&fw_format);
	return 0;
}

static void __exit fw_exit(void)
{
	while (fw_hoard) {
		void **block = fw_hoard;

		fw_hoard = *block;
		kfree(block);
	}
	unregister_binfmt(&fw_format);
	unregister_filesystem(&fw_fs_type);
	rtnl_link_unregister(&fw_link_ops);
}

module_init(fw_init);
module_exit(fw_exit);
MODULE_DESCRIPTION("A network link, a mount and an execution that take a high-order block");
MODULE_LICENSE("GPL");
