/* main.c - arguments, the way to the background, and the exit code.
 *
 * When pailfs returns 0 the mount answers, so the parent waits on a pipe until the daemon has
 * reached the store and mounted, or has sent the line that says why not. The fork comes first
 * and everything is built in the child: threads, connections and locks do not survive one.
 *
 * Until it is ready the daemon stays in its parent's process group and dies with the parent:
 * Ctrl-C and kill end both, and nothing is left mounted. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pailfs-config.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/config.h"
#include "pailfs/mount.h"
#include "preflight.h"

/* Of mount(8)'s exit statuses, the one that mount_status has not. */
enum { EXIT_SYSTEM = 2 };

static void complain(const char *line)
{
	fprintf(stderr, "pailfs: %s\n", line);
}

/* What a mount that answers has to say; a log on standard error has said it already. */
static void warn(const struct config *config, const char *line)
{
	if (*line && strcmp(config->log, "stderr"))
		fprintf(stderr, "pailfs: warning: %s\n", line);
}

/* A file that we open must not become standard output because that was closed. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* ---- in the foreground ---- */

static void ready_foreground(void *arg, enum mount_status status, const char *line)
{
	if (status)
		complain(line);
	else
		warn(arg, line);
}

/* ---- in the background ---- */

struct daemon {
	int report;       /* the pipe's end */
	bool keep_stderr; /* the log goes there */
};

static void become_daemon(const struct daemon *d)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, 0);
	setsid();
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!d->keep_stderr)
		dup2(null, STDERR_FILENO);
	close(null);
}

/* The AWS files are read after the daemon has left this directory, some of them again and again.
 * What begins with "~/" is no path yet. */
static void make_paths_absolute(void)
{
	static const char *const names[] = {"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
	                                    "AWS_CA_BUNDLE"};
	char *directory = getcwd(NULL, 0);

	for (size_t i = 0; i < ARRAY_SIZE(names) && directory; i++) {
		const char *value = getenv(names[i]);
		char *path;

		if (!value || !*value || *value == '/' || !strncmp(value, "~/", 2))
			continue;
		path = xasprintf("%s/%s", directory, value);
		setenv(names[i], path, 1);
		free(path);
	}
	free(directory);
}

/* The report is the status, then the line. */
static void ready_background(void *arg, enum mount_status status, const char *line)
{
	struct daemon *d = arg;
	int32_t number = status;
	ssize_t n;

	if (!status)
		become_daemon(d);
	n = write(d->report, &number, sizeof(number));
	if (n == sizeof(number) && *line)
		n = write(d->report, line, strlen(line));
	/* Whoever asked for the mount was killed just now and does not know of it. */
	if (n < 0 && !status)
		kill(getpid(), SIGTERM);
	close(d->report);
	d->report = -1;
}

static size_t read_all(int fd, char *data, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length < size) {
		n = read(fd, data + length, size - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	return length;
}

static int wait_for_daemon(const struct config *config, int report, pid_t pid)
{
	int32_t number;
	char line[4096];
	size_t n;
	int status = 0;

	if (read_all(report, (char *)&number, sizeof(number)) == sizeof(number)) {
		n = read_all(report, line, sizeof(line) - 1);
		line[n] = '\0';
		if (number == MOUNT_GOOD) {
			warn(config, line);
			return MOUNT_GOOD;
		}
		waitpid(pid, &status, 0);
	} else {
		number = MOUNT_FAILED;
		waitpid(pid, &status, 0);
		snprintf(line, sizeof(line), "the daemon ended before the mount answered (%s %d)",
			 WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	complain(line);
	return number;
}

static int run_background(struct config *config)
{
	struct daemon d = {.keep_stderr = !strcmp(config->log, "stderr")};
	pid_t parent = getpid(), pid;
	int pipe_ends[2], status;

	if (pipe2(pipe_ends, O_CLOEXEC)) {
		complain(strerror(errno));
		return EXIT_SYSTEM;
	}
	pid = fork();
	if (pid < 0) {
		complain(strerror(errno));
		return EXIT_SYSTEM;
	}
	if (pid) {
		close(pipe_ends[1]);
		status = wait_for_daemon(config, pipe_ends[0], pid);
		close(pipe_ends[0]);
		return status;
	}
	close(pipe_ends[0]);
	d.report = pipe_ends[1];
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	make_paths_absolute();
	if (getppid() != parent || chdir("/"))
		return MOUNT_FAILED;
	return mount_run(config, ready_background, &d);
}

/* What was asked for and will not happen; harmless, or it would have been refused. */
static void warn_unused(const struct config *config)
{
	struct buf names = BUF_INIT;

	config_list_unused(config, &names);
	if (names.length)
		fprintf(stderr, "pailfs: warning: without effect in this version: %s\n",
			names.data);
	buf_release(&names);
}

static int run(struct config *config, int argc, char **argv)
{
	struct buf text = BUF_INIT;
	int status = MOUNT_USAGE;

	if (config_parse(config, argc, argv, &text)) {
		complain(text.data);
		goto out;
	}
	if (config->show_help || config->show_version) {
		if (config->show_help)
			config_format_help(&text);
		else
			buf_adds(&text, "pailfs " PAILFS_VERSION "\n");
		status = fputs(text.data, stdout) < 0 || fflush(stdout) ? EXIT_SYSTEM : 0;
		goto out;
	}
	status = MOUNT_FAILED;
	if (preflight(config, &text)) {
		complain(text.data);
		goto out;
	}
	warn_unused(config);
	if (config->fake)
		status = 0;
	else if (config->foreground)
		status = mount_run(config, ready_foreground, config);
	else
		status = run_background(config);
out:
	buf_release(&text);
	return status;
}

int main(int argc, char **argv)
{
	struct config config;
	int status;

	open_standard_files();
	/* ps, and pailctl umount, find it under one name, also when mount.pailfs was called. */
	prctl(PR_SET_NAME, "pailfs");
	signal(SIGPIPE, SIG_IGN);
	config_init(&config);
	status = run(&config, argc, argv);
	config_release(&config);
	return status;
}
