/* session.c - mounts, serves, and ends. */
#include "fs_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pailfs/base/lock.h"

/* INIT offers 128 KiB and can only lower it, but requests of 1 MiB read half as much faster. */
#define KERNEL_READAHEAD_KIB 1024

/* One -o word, with commas and backslashes in its value escaped as libfuse reads them. */
static void add_option(struct buf *out, const char *name, const char *value)
{
	if (out->length)
		buf_addc(out, ',');
	buf_adds(out, name);
	for (; value && *value; value++) {
		if (*value == ',' || *value == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *value);
	}
}

static void mount_options(const struct fs *fs, struct buf *out)
{
	const struct config *c = fs->c.config;
	unsigned can = store_capabilities(fs->c.store);

	add_option(out, "fsname=", c->fsname ? c->fsname : c->source);
	add_option(out, "subtype=", c->subtype ? c->subtype : "pailfs");
	/* Without a way to write, the kernel says so itself, before anything reaches us. */
	if (c->read_only || (can & STORE_READ_ONLY) || !(can & STORE_SET_RANGE))
		add_option(out, "ro", NULL);
	if (c->allow_other)
		add_option(out, "allow_other", NULL);
	/* The modes and owners that we show mean something only if the kernel checks them. */
	if (c->default_permissions || c->allow_other || (can & STORE_SET_RANGE))
		add_option(out, "default_permissions", NULL);
	if (c->fuse_options.length) {
		buf_addc(out, ',');
		buf_add(out, c->fuse_options.data, c->fuse_options.length);
	}
}

static void set_owner(struct fs *fs)
{
	const struct config *c = fs->c.config;
	fs->uid = c->uid_set ? c->uid : getuid();
	fs->gid = c->gid_set ? c->gid : getgid();
	fs->file_mode = c->file_mode;
	fs->dir_mode = c->dir_mode;
}

int fs_mount(const struct fs_config *config, struct fs **out, struct buf *error)
{
	struct buf options = BUF_INIT;
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fs *fs = xcalloc(1, sizeof(*fs));
	int err;

	fs->c = *config;
	fs->family = store_tree(config->store) ? &fs_tree : &fs_bucket;
	fs->mountpoint = xstrdup(config->config->mountpoint);
	fs_control.create(fs);
	pthread_mutex_init(&fs->parked_lock, NULL);
	pthread_cond_init(&fs->parked_gone, NULL);
	list_init(&fs->parked);
	set_owner(fs);
	fs->readahead_kib = KERNEL_READAHEAD_KIB;
	attach_log();

	err = dispatch_create("pailfs-forget", &fs->dispatch);
	if (!err)
		err = dispatch_create("pailfs-intr", &fs->interrupts);
	if (!err && fs->family->create)
		err = fs->family->create(fs);
	if (err) {
		buf_addf(error, "%s: %s", config->config->source, strerror(-err));
		goto fail;
	}
	mount_options(fs, &options);
	fuse_opt_add_arg(&args, "pailfs");
	fuse_opt_add_arg(&args, "-o");
	fuse_opt_add_arg(&args, options.data);
	if (config->config->debug_fuse)
		fuse_opt_add_arg(&args, "-d");
	fs->session = fuse_session_new(&args, &fs_front_ops, sizeof(fs_front_ops), fs);
	if (!fs->session) {
		err = -EINVAL;
		buf_addf(error, "%s: libfuse refuses the options %s", fs->mountpoint, options.data);
		goto fail;
	}
	err = attach(fs, error);
	if (err) {
		fuse_session_destroy(fs->session);
		fs->session = NULL;
		goto fail;
	}
	readahead_set(fs, fs->readahead_kib);
	buf_release(&options);
	fuse_opt_free_args(&args);
	*out = fs;
	return 0;

fail:
	buf_release(&options);
	fuse_opt_free_args(&args);
	fs_destroy(fs);
	return err;
}

int fs_serve(struct fs *fs)
{
	struct fuse_loop_config *loop = fuse_loop_cfg_create();
	struct ending e;
	int err;

	fuse_loop_cfg_set_clone_fd(loop, 1);
	fuse_loop_cfg_set_max_threads(loop, fs->c.config->threads ? fs->c.config->threads : 4);
	/* An idle thread costs a stack; one that is made anew for each burst costs more. */
	fuse_loop_cfg_set_idle_threads(loop, fs->c.config->threads ? fs->c.config->threads : 4);
	err = ending_begin(fs, &e);
	if (!err) {
		err = fuse_session_loop_mt(fs->session, loop);
		ending_end(&e);
	}
	fuse_loop_cfg_destroy(loop);
	return err < 0 ? err : 0;
}

void fs_destroy(struct fs *fs)
{
	if (!fs)
		return;
	if (fs->session) {
		parked_stop(fs);
		settle_notices(fs);
		/* Answers to what waits reach the kernel while the mount stands. */
		parked_drain(fs);
		fuse_session_unmount(fs->session);
	}
	dispatch_destroy(fs->interrupts);
	dispatch_destroy(fs->dispatch);
	if (fs->session)
		fuse_session_destroy(fs->session);
	if (fs->family->destroy)
		fs->family->destroy(fs);
	fs_control.destroy(fs);
	pthread_cond_destroy(&fs->parked_gone);
	pthread_mutex_destroy(&fs->parked_lock);
	free(fs->mountpoint);
	free(fs);
}
