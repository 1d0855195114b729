/* ami_load.c - plays calls to whoever logs in, as an Asterisk's manager would send them.
 *
 *	ami_load SCRIPT CONTACTS AGENTS
 *
 * SCRIPT is one call recorded from a real Asterisk, cut into phases (calls.py makes it):
 * "phase OFFSET_MS LENGTH", then so many bytes with marks \x01 and a letter where a call
 * differs from the next:
 *	U, V  unique ids of caller and agent	C, D  their channels' numbers
 *	B     the bridge's first word		N, A  caller's number, agent's id
 *	T     when the first phase was due, as "T<ns>": the display name, so that
 *	      who gets the pop knows how long it took
 * Commands on stdin, answers on stdout: "port N" at once; "client" after a login;
 * "play RATE CALLS HOLD_MS" gives "done LATE_MS" once all are played and taken (HOLD_MS
 * is added before the last phase, hanging up). What the client's socket
 * does not take waits in memory; what is due stays due. Next: pop_listen.c. */
#include "bench.h"

#include <str.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PHASES_MAX  8
#define NS	    INT64_C(1000000000)
#define BACKLOG_MAX (512 << 20)
#define WRITE_MAX   (64 * 1024) /* prepared at once before the socket gets it */

struct piece {
	const char *text;
	size_t len;
	char mark; /* what stands after it, 0 = nothing */
};

struct phase {
	int64_t offset_ns;
	struct piece *pieces;
	size_t n;
	long next; /* call that plays it next */
};

struct load {
	struct phase phases[PHASES_MAX];
	size_t n_phases;
	uint64_t contacts;
	unsigned agents;
	long epoch, first, calls; /* of this play: calls first ... calls - 1 */
	double gap_ns;
	int64_t start_ns, late_ns;
	bool playing;
	int fd, listener;
	struct buf out, in;
	size_t out_at;
};

/* ---- The script ------------------------------------------------------------ */

static void
phase_add(struct phase *ph, const char *text, size_t len, char mark)
{
	ph->pieces = xrealloc(ph->pieces, (ph->n + 1) * sizeof(*ph->pieces));
	ph->pieces[ph->n++] = (struct piece){xstrndup(text, len), len, mark};
}

static void
phase_cut(struct phase *ph, const char *text, size_t len)
{
	const char *end = text + len, *mark;

	while ((mark = memchr(text, 1, (size_t)(end - text)))) {
		phase_add(ph, text, (size_t)(mark - text), mark[1]);
		text = mark + 2;
	}
	phase_add(ph, text, (size_t)(end - text), 0);
}

static void
script_read(struct load *l, const char *path)
{
	FILE *f = fopen(path, "rb");
	long offset_ms;
	size_t len;

	if (!f)
		die(path, strerror(errno));
	while (fscanf(f, "phase %ld %zu", &offset_ms, &len) == 2 &&
		l->n_phases < PHASES_MAX) {
		struct phase *ph = &l->phases[l->n_phases++];
		char *text = xmalloc(len);

		if (fgetc(f) != '\n' || fread(text, 1, len, f) != len)
			die(path, "cut short");
		ph->offset_ns = offset_ms * 1000000;
		phase_cut(ph, text, len);
		xfree(&text);
		fscanf(f, " ");
	}
	fclose(f);
	if (!l->n_phases)
		die(path, "no phases");
}

/* ---- A call ---------------------------------------------------------------- */

static int64_t
due_ns(const struct load *l, const struct phase *ph, long call)
{
	return l->start_ns + (int64_t)((double)(call - l->first) * l->gap_ns) +
	       ph->offset_ns;
}

/* A caller per call; which, follows from the call's number in every phase. */
static uint64_t
caller_of(const struct load *l, long call)
{
	uint64_t state = (uint64_t)call * 2654435761u + 88172645463325252u;

	next_random(&state);
	return 1 + next_random(&state) % l->contacts;
}

static void
fill(const struct load *l, struct buf *out, char mark, long call)
{
	char text[40];
	int n = 0;

	switch (mark) {
	case 'U': n = sprintf(text, "%ld.%ld", l->epoch, 2 * call); break;
	case 'V': n = sprintf(text, "%ld.%ld", l->epoch, 2 * call + 1); break;
	case 'C': n = sprintf(text, "%08x", (unsigned)(2 * call)); break;
	case 'D': n = sprintf(text, "%08x", (unsigned)(2 * call + 1)); break;
	case 'B': n = sprintf(text, "%08x", (unsigned)call); break;
	case 'N':
		n = sprintf(text, "138%08llu", (unsigned long long)caller_of(l, call));
		break;
	case 'A': n = sprintf(text, "%ld", 1000 + call % l->agents); break;
	case 'T':
		n = sprintf(text, "T%lld", (long long)due_ns(l, l->phases, call));
		break;
	default: die("script", "unknown mark");
	}
	buf_add(out, text, (size_t)n);
}

static void
phase_play(struct load *l, struct phase *ph)
{
	for (size_t i = 0; i < ph->n; i++) {
		buf_add(&l->out, ph->pieces[i].text, ph->pieces[i].len);
		if (ph->pieces[i].mark)
			fill(l, &l->out, ph->pieces[i].mark, ph->next);
	}
	ph->next++;
}

/* The phase that is due first, or NULL when all calls have had theirs. */
static struct phase *
phase_next(struct load *l, int64_t *due_r)
{
	struct phase *best = NULL;

	for (size_t i = 0; l->playing && i < l->n_phases; i++) {
		struct phase *ph = &l->phases[i];
		int64_t due = due_ns(l, ph, ph->next);

		if (ph->next < l->calls && (!best || due < *due_r)) {
			best = ph;
			*due_r = due;
		}
	}
	return best;
}

/* ---- The client ------------------------------------------------------------ */

static void
flush(struct load *l)
{
	while (l->fd >= 0 && l->out_at < l->out.len) {
		ssize_t n =
			write(l->fd, l->out.data + l->out_at, l->out.len - l->out_at);
		if (n < 0 && errno != EAGAIN) {
			close(l->fd);
			l->fd = -1;
		}
		if (n <= 0)
			break;
		l->out_at += (size_t)n;
	}
	if (l->fd < 0 || l->out_at == l->out.len) {
		buf_clear(&l->out);
		l->out_at = 0;
	}
}

static void
accept_client(struct load *l)
{
	int one = 1;

	if (l->fd >= 0)
		close(l->fd);
	l->fd = accept4(l->listener, NULL, NULL, SOCK_NONBLOCK);
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	buf_clear(&l->in);
	buf_clear(&l->out);
	l->out_at = 0;
	buf_adds(&l->out, "Asterisk Call Manager/11.0.0\r\n");
}

/* The channels of the calls that are up, for CoreShowChannels. */
static long
list_channels(struct load *l, const char *action_id)
{
	long n = 0;

	for (long k = l->phases[l->n_phases - 1].next; k < l->phases[0].next; k++, n++)
		buf_printf(&l->out,
			"Event: CoreShowChannel\r\nActionID: %s\r\nChannel: "
			"PJSIP/trunk-%08x\r\nChannelState: 4\r\nCallerIDNum: "
			"138%08llu\r\nUniqueid: %ld.%ld\r\nLinkedid: %ld.%ld\r\n"
			"Duration: 00:00:01\r\n\r\n",
			action_id, (unsigned)(2 * k),
			(unsigned long long)caller_of(l, k), l->epoch, 2 * k, l->epoch,
			2 * k);
	return n;
}

static void
answer_list(struct load *l, const char *action, const char *action_id)
{
	long n = 0;

	buf_printf(&l->out,
		"Response: Success\r\nActionID: %s\r\nEventList: start\r\n\r\n",
		action_id);
	if (str_eq(action, "CoreShowChannels"))
		n = list_channels(l, action_id);
	buf_printf(&l->out,
		"Event: %sComplete\r\nActionID: %s\r\nEventList: Complete\r\n"
		"ListItems: %ld\r\n\r\n",
		action, action_id, n);
}

static void
answer(struct load *l, const char *action, const char *action_id)
{
	if (str_eq(action, "CoreShowChannels") || str_eq(action, "QueueStatus") ||
		str_eq(action, "ParkedCalls")) {
		answer_list(l, action, action_id);
		return;
	}
	buf_printf(&l->out, "Response: %s\r\nActionID: %s\r\n",
		str_eq(action, "Challenge") ? "Error" : "Success", action_id);
	if (str_eq(action, "CoreSettings"))
		buf_adds(&l->out, "AsteriskVersion: 22.10.1\r\n");
	if (str_eq(action, "CoreStatus"))
		buf_adds(&l->out, "CoreStartupDate: 2026-11-21\r\nCoreStartupTime: "
				  "08:00:00\r\n");
	buf_adds(&l->out, "\r\n");
	if (str_eq(action, "Login")) {
		buf_adds(&l->out, "Event: FullyBooted\r\nUptime: 1000\r\n\r\n");
		printf("client\n");
		fflush(stdout);
	}
}

static void
read_client(struct load *l)
{
	char block[4096], action[64] = "", id[64] = "", *end;
	ssize_t n = read(l->fd, block, sizeof(block));

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN) {
			close(l->fd);
			l->fd = -1;
		}
		return;
	}
	buf_add(&l->in, block, (size_t)n);
	while ((end = strstr(l->in.data, "\r\n\r\n"))) {
		const char *at;

		*end = '\0';
		if ((at = strstr(l->in.data, "Action: ")))
			sscanf(at, "Action: %63s", action);
		if ((at = strstr(l->in.data, "ActionID: ")))
			sscanf(at, "ActionID: %63s", id);
		answer(l, action, id);
		buf_drop_front(&l->in, (size_t)(end + 4 - l->in.data));
	}
}

/* ---- The runner ------------------------------------------------------------ */

static void
play(struct load *l, double rate, long calls, long hold_ms)
{
	static int64_t hold_ns;
	struct phase *last = &l->phases[l->n_phases - 1];

	l->first = l->calls;
	l->calls += calls;
	l->gap_ns = 1e9 / rate;
	l->start_ns = now_ns() + NS / 5;
	l->late_ns = 0;
	l->playing = true;
	last->offset_ns += hold_ms * 1000000 - hold_ns;
	hold_ns = hold_ms * 1000000;
}

static void
read_command(struct load *l)
{
	char text[256];
	double rate;
	long calls, hold_ms;

	if (!fgets(text, sizeof(text), stdin))
		exit(0);
	if (sscanf(text, "play %lf %ld %ld", &rate, &calls, &hold_ms) != 3)
		die("unknown command", text);
	play(l, rate, calls, hold_ms);
}

/* Prepares what is due, and says how long until the next is. */
static int64_t
play_due(struct load *l)
{
	struct phase *ph;
	int64_t due = 0, now = now_ns();

	while ((ph = phase_next(l, &due)) && due <= now) {
		phase_play(l, ph);
		if (l->out.len - l->out_at > WRITE_MAX)
			flush(l);
		if (l->out.len - l->out_at > BACKLOG_MAX)
			die("the client does not read", NULL);
		now = now_ns();
		if (now - due > l->late_ns)
			l->late_ns = now - due;
	}
	flush(l);
	if (!ph && l->playing && l->out_at == l->out.len) {
		l->playing = false;
		printf("done %lld\n", (long long)l->late_ns / 1000000);
		fflush(stdout);
	}
	return ph ? due - now_ns() : NS;
}

static void
wait_and_read(struct load *l, int64_t wait_ns)
{
	struct timespec ts = {
		wait_ns > 0 ? wait_ns / NS : 0, wait_ns > 0 ? wait_ns % NS : 0};
	struct pollfd p[3] = {{.fd = 0, .events = POLLIN},
		{.fd = l->listener, .events = POLLIN},
		{.fd = l->fd, .events = POLLIN | (l->out.len ? POLLOUT : 0)}};

	if (ppoll(p, 3, &ts, NULL) <= 0)
		return;
	if (p[0].revents)
		read_command(l);
	if (p[1].revents)
		accept_client(l);
	else if (p[2].revents & (POLLIN | POLLHUP | POLLERR))
		read_client(l);
}

static int
listen_anywhere(void)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (void *)&a, len) < 0 || listen(fd, 4) < 0 ||
		getsockname(fd, (void *)&a, &len) < 0)
		die("listen", strerror(errno));
	printf("port %d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

int
main(int argc, char **argv)
{
	struct load l = {.fd = -1, .epoch = time(NULL)};

	if (argc != 4)
		die("usage", "ami_load SCRIPT CONTACTS AGENTS");
	script_read(&l, argv[1]);
	l.contacts = strtoull(argv[2], NULL, 10);
	l.agents = (unsigned)atoi(argv[3]);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1);
	setvbuf(stdin, NULL, _IONBF, 0); /* poll sees what is there */
	l.listener = listen_anywhere();
	for (;;)
		wait_and_read(&l, play_due(&l));
}
