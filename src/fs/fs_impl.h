/* fs_impl.h - what the files of the fs room share. */
#ifndef PAILFS_FS_IMPL_H
#define PAILFS_FS_IMPL_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include "pailfs/ctl.h"
#include "pailfs/fs.h"

/* A kind of file system behind the same mount: buckets, trees, and the control directory.
 * front.c counts each request and gives it to the family that its inode belongs to. */
struct fs_family {
	int (*create)(struct fs *fs);   /* NULL: nothing to prepare. 0 or -errno */
	void (*destroy)(struct fs *fs); /* after the last request */
	/* Asks for the capabilities that the family needs. */
	void (*init)(struct fs *fs, struct fuse_conn_info *conn);
	/* What pailctl asks of this family; sets result, data and length of the message, whose
	 * strings have been checked. Runs on a serving thread and does not wait. NULL, or a
	 * result of -EOPNOTSUPP: it has no such command. Returns whether the answer shall wait for
	 * what was posted to the dispatch thread. */
	bool (*command)(struct fs *fs, struct ctl_message *m);
	/* A signal ends the mount: all threads serve until what this posts to the dispatch thread is
	 * done. NULL: nothing is left to do. */
	void (*finish)(struct fs *fs);
	struct fuse_lowlevel_ops ops;   /* what is NULL is answered by front.c */
};

extern const struct fs_family fs_bucket;  /* keys, versions, the read engine */
extern const struct fs_family fs_tree;    /* local-backed stores */
extern const struct fs_family fs_control; /* .pailfs/ */

/* The operations that libfuse calls. */
extern const struct fuse_lowlevel_ops fs_front_ops;

struct fs {
	struct fs_config c;
	const struct fs_family *family;
	struct fuse_session *session;
	struct dispatch *dispatch;   /* tells the kernel to forget; serves no requests */
	struct dispatch *interrupts; /* ends what the former may be waiting for */
	void *state;                 /* the family's own */
	char *mountpoint;
	unsigned readahead_kib;      /* what the kernel shall read ahead; the family may choose */

	uid_t uid;                   /* who owns what the store has no owner for */
	gid_t gid;
	mode_t file_mode, dir_mode;

	pthread_mutex_t control_lock;
	struct list control_texts;   /* control_lock; what is open in .pailfs/ */

	pthread_mutex_t parked_lock;
	pthread_cond_t parked_gone;
	struct list parked;          /* parked_lock; struct parked.link */
	size_t parked_count;         /* parked_lock; those with a reference left */
	atomic_bool stopping;        /* the mount ends: nothing waits long, nothing is forgotten */
};

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* ---- reply.c: requests that wait ---- */

/* A request whose answer needs the network, embedded in what waits for it.
 *
 *	park()      before the operation that may finish on another thread is started
 *	unpark()    before the reply, on whichever thread; after it no interrupt comes
 *	parked_unref() drops the creator's reference, after the reply
 *
 * `interrupt` is called at most once, on a thread for that, when a signal of the caller or the
 * end of the mount asks for an early end; the request may be finishing at the same time. */
struct parked {
	struct fs *fs;
	fuse_req_t req;
	void (*interrupt)(struct parked *p);
	void (*destroy)(struct parked *p); /* when the last reference is gone */
	/* Private. */
	atomic_uint refs;
	atomic_bool interrupt_posted;
	bool interruptible;
	pid_t caller;                      /* the thread that waits */
	struct list link;
	struct dispatch_task task;
};

void park(struct parked *p, struct fs *fs, fuse_req_t req, bool interruptible);
void unpark(struct parked *p);
void parked_unref(struct parked *p);
/* The mount ends: interrupts what is parked, and from now on whatever can be as it is parked. */
void parked_stop(struct fs *fs);
/* Interrupts what is parked and waits until all of it has been answered and freed. */
void parked_drain(struct fs *fs);

/* The kernel forgets this name (from the dispatch thread, never from one that serves). */
void forget_entry(struct fs *fs, fuse_ino_t parent, const char *name);

/* Fills what every store has no opinion on. */
void stat_defaults(const struct fs *fs, struct stat *st, bool directory, uint64_t size, int64_t mtime_ns);

/* ---- ending.c ---- */

/* What SIGINT, SIGTERM and SIGHUP do while a mount is served; they are blocked in all threads. */
struct ending {
	struct fs *fs;
	pthread_t thread, server;
	sigset_t signals; /* the thread waits for these */
	atomic_bool over; /* the loop has ended */
};

/* To be called around libfuse's loop, in its thread: a signal ends the loop, one that came before
 * too. Returns 0 or -errno. */
int ending_begin(struct fs *fs, struct ending *e);
void ending_end(struct ending *e);

/* Waits for the last notice that the kernel shall forget a name. The kernel may let it wait for a
 * question about the same directory, and the threads that answer those have ended: so this one
 * does. Otherwise nothing would ever end: the notice holds the connection open, and the question
 * waits for it. */
void settle_notices(struct fs *fs);

/* ---- attach.c ---- */

/* Leads what libfuse has to say to the log. */
void attach_log(void);
/* Mounts the session. Returns 0, or -errno with a line in `error`; nothing but that line is said. */
int attach(struct fs *fs, struct buf *error);

/* ---- readahead.c ---- */

/* Asks the kernel to read ahead of sequential readers of this mount by `kib`, in requests of
 * up to 1 MiB; where we may not (it is root's to set), nothing happens. */
void readahead_set(struct fs *fs, unsigned kib);

/* Copies a text into the message's data, cut where it does not fit. */
void ctl_answer(struct ctl_message *m, int result, const char *text, size_t n);

/* ---- control.c: the directory .pailfs at the root of every mount ---- */

#define CONTROL_NAME ".pailfs"
#define CONTROL_FIRST_INO (1ull << 62)

static inline bool control_owns(fuse_ino_t ino)
{
	return ino >= CONTROL_FIRST_INO;
}

/* Whether that name stands for the control directory. What a store has under it cannot be reached,
 * and must not be listed: the kernel would take it for the control directory. */
static inline bool control_has_name(fuse_ino_t parent, const char *name)
{
	return parent == FUSE_ROOT_ID && !strcmp(name, CONTROL_NAME);
}

#endif
