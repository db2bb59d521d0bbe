/*
 * The load: a WebSocket client (RFC 6455) in C, so that the generator is not what is measured.
 *
 * One thread, one epoll, non-blocking sockets. Frames are built and masked once. Of the answers it looks at every
 * header (FIN and opcode, no mask, the right length) and at every 16th payload; an answer that is wrong, or one that
 * is missing at the end, ends the program with status 1 and a sentence on stderr. What it measures goes to stdout as
 * one object of JSON. The CPU time of the process under test (--pid) is the kernel's, in nanoseconds and of all of its
 * threads, read at the same moments as the clock.
 *
 *   load echo        --connections x --in-flight frames of --size bytes go out, and again when their echoes are there;
 *                    --idle more connections have had one echo and are silent
 *   load handshakes  --connections at a time are opened, closed in good order, and opened again
 *   load broadcast   one client sends, every client gets it; with --stalled there is one more that does not read
 *   load idle        --connections have one echo each; it prints "ready" and holds them to the end of its stdin
 *   load source      the other way round: frames go to the client that is connected at the descriptor --fd
 *
 * It takes no part in a closing handshake that the server begins. Build: cc -O2 load.c, with -DTLS -lssl -lcrypto
 * for --tls.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/ssl.h>
#endif

enum {
    BLOCK = 256 * 1024,  /* bytes of one read, and at least of what a source writes at once */
    SAMPLE = 16,         /* one in so many payloads is compared */
    EVENTS = 256,        /* taken from epoll at once */
    PATIENCE = 10,       /* seconds for what has to come */
};

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* A failed call of the system, by name. */
static void die_of(const char *call) {
    die("%s: %s", call, strerror(errno));
}

static void *reserve(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL)
        die_of("calloc");
    return memory;
}

/* ---- What the command line says ---- */

static struct {
    int port, connections, in_flight, idle, stalled, fd, pid;
    size_t size;
    double warmup, seconds;
    bool tls;
    const char *deflated; /* file with the message as permessage-deflate sends it (RFC 7692 section 7.2.1) */
    const char *answer;   /* file to write the payload of an answer to */
} options = {.connections = 1, .in_flight = 1, .size = 16, .warmup = 0.2, .seconds = 1, .fd = -1};

static void read_options(int count, char **words) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'},    {"connections", 1, 0, 'c'}, {"in-flight", 1, 0, 'f'}, {"size", 1, 0, 's'},
        {"idle", 1, 0, 'i'},    {"stalled", 0, 0, 'w'},     {"fd", 1, 0, 'd'},        {"pid", 1, 0, 'P'},
        {"warmup", 1, 0, 'u'},  {"seconds", 1, 0, 't'},     {"tls", 0, 0, 'T'},       {"deflated", 1, 0, 'z'},
        {"answer", 1, 0, 'a'},  {0, 0, 0, 0},
    };
    int option;
    while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'c': options.connections = atoi(optarg); break;
        case 'f': options.in_flight = atoi(optarg); break;
        case 's': options.size = strtoul(optarg, NULL, 10); break;
        case 'i': options.idle = atoi(optarg); break;
        case 'w': options.stalled = 1; break;
        case 'd': options.fd = atoi(optarg); break;
        case 'P': options.pid = atoi(optarg); break;
        case 'u': options.warmup = atof(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'T': options.tls = true; break;
        case 'z': options.deflated = optarg; break;
        case 'a': options.answer = optarg; break;
        default: exit(2);
        }
    }
    if (options.connections < 1 || options.in_flight < 1 || options.size < 1 || options.seconds <= 0)
        die("connections, frames in flight, bytes and seconds have to be more than nothing");
}

/* ---- Time ---- */

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time))
        die_of("clock_gettime");
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t now(void) {
    return nanoseconds(CLOCK_MONOTONIC);
}

static uint64_t cpu_of_server(void) {
    clockid_t clock;
    if (options.pid == 0)
        return 0;
    if (clock_getcpuclockid(options.pid, &clock))
        die("process %d is gone", options.pid);
    return nanoseconds(clock);
}

/* Latencies, in buckets whose width is a 32nd of their value: half a millisecond is told apart from 0.516. */

enum { STEPS = 32, BUCKETS = 60 * STEPS };
static uint64_t buckets[BUCKETS];

static void take_latency(uint64_t value) {
    if (value < STEPS) {
        buckets[value]++;
        return;
    }
    int shift = 63 - __builtin_clzll(value) - 5;
    buckets[(shift + 1) * STEPS + (int)((value >> shift) & (STEPS - 1))]++;
}

/* The latency in seconds that this share of messages did not exceed. */
static double latency(double share) {
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        all += buckets[i];
    for (int i = 0; i < BUCKETS; i++) {
        seen += buckets[i];
        if (all && (double)seen >= share * (double)all)
            return (i < STEPS ? i : (double)(STEPS + i % STEPS + 1) * (double)(1ull << (i / STEPS - 1))) / 1e9;
    }
    return 0;
}

/* What is measured, from begin() to report(). */

static struct {
    bool on;
    uint64_t messages, start, server, own;
} measured;

static void begin(void) {
    memset(buckets, 0, sizeof buckets);
    measured.messages = 0;
    measured.server = cpu_of_server();
    measured.own = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    measured.start = now();
    measured.on = true;
}

/* *total* is of the whole run, with the warm-up and what came after the end. */
static void report(uint64_t time, uint64_t server, uint64_t own, uint64_t messages, uint64_t total) {
    printf("{\"messages\": %llu, \"seconds\": %.9f, \"cpu\": %.9f, \"load_cpu\": %.9f, \"p50\": %.9f, \"p99\": %.9f, "
           "\"total\": %llu}\n",
           (unsigned long long)messages, (double)(time - measured.start) / 1e9, (double)(server - measured.server) / 1e9,
           (double)(own - measured.own) / 1e9, latency(0.5), latency(0.99), (unsigned long long)total);
}

/* ---- Frames ---- */

static unsigned char *payload; /* as an answer has it; of deflated messages nothing is known */
static unsigned char *frames;  /* the same frame as often as frames are in flight */
static size_t frame_size, frames_size;

static unsigned char *read_file(const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    if (file == NULL)
        die_of(name);
    unsigned char *content = reserve(1 << 20, 1);
    *size = fread(content, 1, 1 << 20, file);
    fclose(file);
    return content;
}

/* Builds *count* frames of one message; as a client if *key* is there (RFC 6455 section 5.2). */
static void build_frames(const unsigned char *data, size_t size, size_t count, const unsigned char *key) {
    unsigned char head[14] = {(unsigned char)(options.deflated ? 0xC2 : 0x82)};
    size_t width = size < 126 ? 0 : size < 65536 ? 2 : 8;
    head[1] = (unsigned char)(width == 0 ? size : width == 2 ? 126 : 127);
    for (size_t i = 0; i < width; i++)
        head[2 + i] = (unsigned char)(size >> 8 * (width - 1 - i));
    size_t head_size = 2 + width;
    if (key != NULL) {
        head[1] |= 0x80;
        memcpy(head + head_size, key, 4);
        head_size += 4;
    }
    frame_size = head_size + size;
    frames_size = frame_size * count;
    frames = reserve(count, frame_size);
    memcpy(frames, head, head_size);
    for (size_t i = 0; i < size; i++)
        frames[head_size + i] = key == NULL ? data[i] : data[i] ^ key[i % 4];
    for (size_t i = 1; i < count; i++)
        memcpy(frames + i * frame_size, frames, frame_size);
}

/* The servers without a protocol, bare.c and bare.py, make the same payload. */
static void build_payload(void) {
    payload = reserve(options.size, 1);
    for (size_t i = 0; i < options.size; i++)
        payload[i] = (unsigned char)(i * 151 + i / 256 + 7);
}

static void build_client_frames(void) {
    static const unsigned char key[4] = {0x37, 0xFA, 0x21, 0x3D};
    build_payload();
    if (options.deflated) {
        size_t size;
        unsigned char *data = read_file(options.deflated, &size);
        build_frames(data, size, (size_t)options.in_flight, key);
        free(data);
    } else {
        build_frames(payload, options.size, (size_t)options.in_flight, key);
    }
}

/* ---- Connections ---- */

struct lane {
    int fd;
#ifdef TLS
    SSL *ssl;
#endif
    size_t to_send, at;    /* bytes that shall go out, and where in `frames` they begin */
    bool watches_writing;
    unsigned char head[10]; /* of the answer in progress */
    size_t have;            /* bytes of head */
    size_t left, seen;      /* of its payload */
    uint64_t sent, received;
    uint64_t *times; /* when the frames in flight were handed over, a ring */
};

static int poller;
static unsigned char block[BLOCK];

#ifdef TLS
static SSL_CTX *tls_context(void) {
    static SSL_CTX *context;
    if (context == NULL) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    return context;
}

/* How many bytes an SSL call moved: 0 is the end, -1 is later. */
static ssize_t moved(struct lane *lane, int result) {
    if (result > 0)
        return result;
    switch (SSL_get_error(lane->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return -1;
    default: return 0;
    }
}
#endif

/* How many bytes came: 0 is the end, -1 is later. */
static ssize_t receive(struct lane *lane) {
#ifdef TLS
    if (lane->ssl)
        return moved(lane, SSL_read(lane->ssl, block, BLOCK));
#endif
    ssize_t count = recv(lane->fd, block, BLOCK, 0);
    return count < 0 && errno != EAGAIN ? 0 : count;
}

static ssize_t transmit(struct lane *lane, const unsigned char *data, size_t size) {
#ifdef TLS
    if (lane->ssl)
        return moved(lane, SSL_write(lane->ssl, data, (int)size));
#endif
    ssize_t count = send(lane->fd, data, size, MSG_NOSIGNAL);
    return count < 0 && errno != EAGAIN ? 0 : count;
}

static void watch(struct lane *lane, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = lane};
    if (epoll_ctl(poller, how, lane->fd, &event))
        die_of("epoll_ctl");
}

/* Sends what is due, as far as the socket takes it. */
static void flush(struct lane *lane) {
    while (lane->to_send) {
        size_t size = frames_size - lane->at;
        ssize_t count = transmit(lane, frames + lane->at, size < lane->to_send ? size : lane->to_send);
        if (count == 0)
            die("the server ended a connection");
        if (count < 0)
            break;
        lane->to_send -= (size_t)count;
        lane->at = (lane->at + (size_t)count) % frames_size;
    }
    bool more = lane->to_send > 0;
    if (more != lane->watches_writing) {
        lane->watches_writing = more;
        watch(lane, EPOLL_CTL_MOD, more ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static void hand_over(struct lane *lane, size_t count, uint64_t time) {
    for (size_t i = 0; i < count; i++)
        lane->times[lane->sent++ % (uint64_t)options.in_flight] = time;
    lane->to_send += count * frame_size;
    flush(lane);
}

/* Judges the head of an answer. */
static void check_head(struct lane *lane, size_t size) {
    int expected = options.deflated ? 0xC2 : 0x82;
    if (lane->head[0] != expected)
        die("an answer begins with 0x%02x, not with 0x%02x", lane->head[0], expected);
    if (!options.deflated && size != options.size)
        die("an answer has %zu bytes, not %zu", size, options.size);
}

/* Takes one answer's piece of payload. */
static void check_payload(struct lane *lane, const unsigned char *data, size_t size) {
    if (options.deflated || lane->received % SAMPLE)
        return;
    if (memcmp(data, payload + lane->seen, size))
        die("an answer is not what was sent, at or after byte %zu", lane->seen);
}

/* Parses *size* bytes of `block`; returns how many answers were completed. */
static size_t parse(struct lane *lane, size_t size) {
    size_t done = 0;
    const unsigned char *data = block, *end = block + size;
    static FILE *answer;
    while (data < end) {
        if (lane->left == 0) {
            lane->head[lane->have++] = *data++;
            if (lane->have < 2)
                continue;
            size_t code = lane->head[1], width = code < 126 ? 0 : code == 126 ? 2 : 8;
            if (code > 127)
                die("an answer is masked");
            if (lane->have < 2 + width)
                continue;
            lane->left = width ? 0 : code;
            for (size_t i = 0; i < width; i++)
                lane->left = lane->left << 8 | lane->head[2 + i];
            check_head(lane, lane->left);
            lane->have = lane->seen = 0;
            if (options.answer && answer == NULL && (answer = fopen(options.answer, "wb")) == NULL)
                die_of(options.answer);
            continue;
        }
        size_t piece = (size_t)(end - data);
        if (piece > lane->left)
            piece = lane->left;
        check_payload(lane, data, piece);
        if (options.answer)
            fwrite(data, 1, piece, answer);
        data += piece;
        lane->seen += piece;
        lane->left -= piece;
        if (lane->left == 0) {
            lane->received++;
            done++;
            if (options.answer) {
                fclose(answer);
                options.answer = NULL; /* one is enough */
            }
        }
    }
    if (lane->received > lane->sent)
        die("an answer came that nobody had asked for");
    return done;
}

/* ---- Opening and closing ---- */

static char request[1024];
static size_t request_size;

static void build_request(void) {
    /* The key is that of RFC 6455 section 1.3: what has to be accepted is known. */
    request_size = (size_t)snprintf(
        request, sizeof request,
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        options.port,
        options.deflated ? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                           "client_no_context_takeover\r\n"
                         : "");
}

static int connected(bool stalled) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, little = 4096;
    if (fd < 0)
        die_of("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (stalled)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        die_of("connect");
    return fd;
}

static void check_response(const char *head) {
    if (strncmp(head, "HTTP/1.1 101", 12))
        die("the server refused: %.60s", head);
    if (!strcasestr(head, "\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        die("the server's Sec-WebSocket-Accept is wrong");
    if (options.deflated) {
        static const char *const agreed[] = {"permessage-deflate", "server_no_context_takeover"};
        for (size_t i = 0; i < sizeof agreed / sizeof *agreed; i++)
            if (!strstr(head, agreed[i]))
                die("the server did not agree on %s", agreed[i]);
    }
}

/* Reads the response's head, not a byte further: what comes behind it belongs to the frames. */
static void read_response(struct lane *lane) {
    char head[4096];
    size_t size = 0;
    while (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4)) {
        ssize_t count;
        if (size + 1 == sizeof head)
            die("the response has no end");
#ifdef TLS
        if (lane->ssl)
            count = SSL_read(lane->ssl, head + size, 1);
        else
#endif
            count = recv(lane->fd, head + size, 1, 0);
        if (count <= 0)
            die("the server ended the connection in its opening handshake");
        size++;
    }
    head[size] = 0;
    check_response(head);
}

/* Connects *count* lanes, one after the other: the queues of some servers are short. */
static struct lane *open_lanes(int count, bool stalled) {
    struct lane *lanes = reserve((size_t)count, sizeof *lanes);
    struct timeval patience = {.tv_sec = PATIENCE};
    for (int i = 0; i < count; i++) {
        struct lane *lane = &lanes[i];
        lane->fd = connected(stalled);
        lane->times = reserve((size_t)options.in_flight, sizeof *lane->times);
        setsockopt(lane->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
#ifdef TLS
        if (options.tls) {
            lane->ssl = SSL_new(tls_context());
            SSL_set_fd(lane->ssl, lane->fd);
            if (SSL_connect(lane->ssl) != 1)
                die("the TLS handshake failed");
        }
#endif
        if (transmit(lane, (unsigned char *)request, request_size) != (ssize_t)request_size)
            die("the request could not be sent");
        read_response(lane);
        if (stalled)
            continue;
        if (fcntl(lane->fd, F_SETFL, O_NONBLOCK))
            die_of("fcntl");
        watch(lane, EPOLL_CTL_ADD, EPOLLIN);
    }
    return lanes;
}

/* The events there are, at the latest at *end* (none then). It does not sleep: who writes to a process that sleeps pays
 * for waking it, on loopback, out of the CPU time that is measured here; and most from those servers that are so fast
 * that the load has nothing to do in between. A peer on another machine costs the server nothing of the kind. */
static int wait_for_events(struct epoll_event *events, uint64_t end) {
    int count;
    do {
        count = epoll_wait(poller, events, EVENTS, 0);
        if (count < 0 && errno != EINTR)
            die_of("epoll_wait");
    } while (count <= 0 && now() < end);
    return count;
}

static const unsigned char closing[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8}; /* Close with 1000 */

/* Closes in good order, so that the server has nothing to complain of: Close, half-close, and wait for its end. */
static void close_lanes(struct lane *lanes, int count) {
    struct timeval patience = {.tv_sec = 1};
    uint64_t deadline = now() + 3000000000u;
    for (int i = 0; i < count; i++) {
        fcntl(lanes[i].fd, F_SETFL, 0);
        setsockopt(lanes[i].fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        transmit(&lanes[i], closing, sizeof closing);
#ifdef TLS
        if (lanes[i].ssl)
            SSL_shutdown(lanes[i].ssl);
        else
#endif
            shutdown(lanes[i].fd, SHUT_WR);
    }
    for (int i = 0; i < count; i++) {
        while (now() < deadline && receive(&lanes[i]) > 0)
            ;
        close(lanes[i].fd);
    }
}

/* ---- Echoes ---- */

/* Lets answers come in until *end*, or until *outstanding* of them are there; frames go out again if *again*. */
static uint64_t run(uint64_t end, bool again, uint64_t outstanding) {
    struct epoll_event events[EVENTS];
    uint64_t done = 0, time = now();
    while (time < end && (again || done < outstanding)) {
        int count = wait_for_events(events, end);
        for (int i = 0; i < count; i++) {
            struct lane *lane = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                flush(lane);
            if (!(events[i].events & ~(uint32_t)EPOLLOUT))
                continue;
            ssize_t size;
            do {
                size = receive(lane);
                if (size == 0)
                    die("the server ended a connection");
                if (size < 0)
                    break;
                uint64_t before = lane->received;
                size_t answers = parse(lane, (size_t)size);
                if (answers) {
                    uint64_t at = now();
                    for (size_t k = 0; k < answers; k++)
                        take_latency(at - lane->times[(before + k) % (uint64_t)options.in_flight]);
                    done += answers;
                    if (again)
                        hand_over(lane, answers, at);
                }
#ifdef TLS
            } while (lane->ssl && SSL_pending(lane->ssl)); /* epoll knows nothing of what OpenSSL holds */
#else
            } while (false);
#endif
        }
        time = now();
    }
    return done;
}

static uint64_t later(double seconds) {
    return now() + (uint64_t)(seconds * 1e9);
}

/* One echo on each, so that everything is there that a connection has. */
static struct lane *open_idle(int count) {
    struct lane *lanes = open_lanes(count, false);
    for (int i = 0; i < count; i++) {
        hand_over(&lanes[i], 1, now());
        if (run(later(PATIENCE), false, 1) != 1)
            die("an echo is missing");
    }
    return lanes;
}

static void echo(void) {
    struct lane *idle = open_idle(options.idle);
    struct lane *lanes = open_lanes(options.connections, false);
    for (int i = 0; i < options.connections; i++)
        hand_over(&lanes[i], (size_t)options.in_flight, now());
    uint64_t total = run(later(options.warmup), true, 0);
    begin();
    uint64_t messages = run(later(options.seconds), true, 0);
    for (uint64_t end = later(PATIENCE); messages == 0 && now() < end;) /* the slowest take longer than that for one */
        messages = run(later(0.02), true, 0);
    uint64_t server = cpu_of_server(), own = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), time = now();
    total += messages;
    uint64_t outstanding = (uint64_t)options.connections * (uint64_t)options.in_flight;
    uint64_t rest = run(later(PATIENCE), false, outstanding);
    if (rest != outstanding)
        die("of %llu echoes %llu are missing", (unsigned long long)outstanding,
            (unsigned long long)(outstanding - rest));
    report(time, server, own, messages, total + rest);
    close_lanes(lanes, options.connections);
    close_lanes(idle, options.idle);
}

static void idle(void) {
    struct lane *lanes = open_idle(options.connections);
    char nothing;
    puts("ready");
    fflush(stdout);
    while (read(0, &nothing, 1) > 0)
        ;
    close_lanes(lanes, options.connections);
}

/* ---- Broadcasts ---- */

/* Has a connection that is not read from stall at once: the kernel would take megabytes for it before the server feels
 * anything. It is pongs that fill its buffers, the answers to pings (RFC 6455 section 5.5.2). */
static void stall(struct lane *lane) {
    enum { PING = 6 + 125, TOGETHER = 100, TIMES = 300 };
    static unsigned char pings[TOGETHER * PING];
    struct timeval patience = {.tv_usec = 500000};
    for (int i = 0; i < TOGETHER; i++) {
        pings[i * PING] = 0x89;
        pings[i * PING + 1] = 0x80 | 125;
    }
    setsockopt(lane->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    for (int i = 0; i < TIMES; i++)
        if (send(lane->fd, pings, sizeof pings, MSG_NOSIGNAL) != sizeof pings)
            break; /* the server has stopped reading from it */
}

static void broadcast(void) {
    struct lane *stalled = open_lanes(options.stalled, true);
    for (int i = 0; i < options.stalled; i++)
        stall(&stalled[i]);
    struct lane *lanes = open_lanes(options.connections, false);
    struct epoll_event events[EVENTS];
    uint64_t end = later(options.warmup), total = 0, sent = now(), time = sent;
    int waiting = options.connections, attempts = 20;
    hand_over(&lanes[0], 1, sent);
    for (;;) {
        if (time >= end && !measured.on) {
            begin();
            end = later(options.seconds);
        } else if (time >= end) {
            break;
        }
        int count = wait_for_events(events, later(measured.on ? PATIENCE : (double)PATIENCE / attempts));
        if (count == 0 && !measured.on && attempts > 1) {
            /* Silence, and not everybody has it: somebody had its 101, and was not yet among those who are sent to. */
            attempts--;
            waiting = options.connections;
            sent = now();
            hand_over(&lanes[0], 1, sent);
            continue;
        }
        if (count <= 0)
            die("a broadcast did not reach %d connections", waiting);
        for (int i = 0; i < count; i++) {
            struct lane *lane = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                flush(lane);
            if (!(events[i].events & ~(uint32_t)EPOLLOUT))
                continue;
            ssize_t size = receive(lane);
            if (size == 0)
                die("the server ended a connection");
            if (size < 0)
                continue;
            lane->sent = lanes[0].sent;
            if (parse(lane, (size_t)size) == 0)
                continue;
            time = now();
            take_latency(time - sent);
            measured.messages++;
            total++;
            if (--waiting == 0) {
                waiting = options.connections;
                sent = time;
                hand_over(&lanes[0], 1, sent);
            }
        }
        time = now();
    }
    report(time, cpu_of_server(), nanoseconds(CLOCK_PROCESS_CPUTIME_ID), measured.messages, total);
    for (int i = 0; i < options.stalled; i++)
        close(stalled[i].fd);
    exit(0); /* without good manners: a broadcast is under way */
}

/* ---- Handshakes ---- */

enum stage { CONNECTING, ANSWERING, CLOSING };

struct visitor {
    int fd;
    enum stage stage;
    size_t have;
    char head[4096];
    uint64_t started;
};

static void visit(struct visitor *visitor) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    visitor->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (visitor->fd < 0)
        die_of("socket");
    if (connect(visitor->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        die_of("connect");
    visitor->started = now();
    visitor->stage = CONNECTING;
    visitor->have = 0;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = visitor};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, visitor->fd, &event))
        die_of("epoll_ctl");
}

/* What the event of one visitor brings. True when its visit is over. */
static bool visited(struct visitor *visitor) {
    if (visitor->stage == CONNECTING) {
        if (send(visitor->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
            die_of("send");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = visitor};
        epoll_ctl(poller, EPOLL_CTL_MOD, visitor->fd, &event);
        visitor->stage = ANSWERING;
        return false;
    }
    if (visitor->stage == ANSWERING) {
        ssize_t count = recv(visitor->fd, visitor->head + visitor->have, sizeof visitor->head - 1 - visitor->have, 0);
        if (count <= 0)
            die("the server ended a connection in its opening handshake");
        visitor->have += (size_t)count;
        visitor->head[visitor->have] = 0;
        if (!strstr(visitor->head, "\r\n\r\n"))
            return false;
        check_response(visitor->head);
        take_latency(now() - visitor->started);
        measured.messages++;
        if (send(visitor->fd, closing, sizeof closing, MSG_NOSIGNAL) != sizeof closing)
            die_of("send");
        visitor->stage = CLOSING;
        return false;
    }
    if (recv(visitor->fd, block, BLOCK, 0) > 0) /* its Close */
        return false;
    close(visitor->fd);
    return true;
}

static void handshakes(void) {
    struct visitor *visitors = reserve((size_t)options.connections, sizeof *visitors);
    struct epoll_event events[EVENTS];
    for (int i = 0; i < options.connections; i++)
        visit(&visitors[i]);
    uint64_t end = later(options.warmup), total = 0;
    for (;;) {
        if (now() >= end && !measured.on) {
            total = measured.messages;
            begin();
            end = later(options.seconds);
        } else if (now() >= end) {
            break;
        }
        int count = wait_for_events(events, later(PATIENCE));
        if (count <= 0)
            die("the server does not answer, or does not close");
        for (int i = 0; i < count; i++)
            if (visited(events[i].data.ptr))
                visit(events[i].data.ptr);
    }
    report(now(), cpu_of_server(), nanoseconds(CLOCK_PROCESS_CPUTIME_ID), measured.messages, total + measured.messages);
    exit(0);
}

/* ---- The other way round ---- */

static void source(void) {
    build_payload();
    size_t count = BLOCK / (options.size + 10);
    build_frames(payload, options.size, count ? count : 1, NULL);
    uint64_t end = later(options.warmup), total = 0, written = 0, time;
    size_t at = 0;
    int flags = fcntl(options.fd, F_GETFL);
    fcntl(options.fd, F_SETFL, flags & ~O_NONBLOCK);
    for (;;) {
        time = now();
        if (time >= end && !measured.on) {
            begin();
            total = written;
            end = later(options.seconds);
        } else if (time >= end && at % frame_size == 0) {
            break;
        }
        /* To the end of all frames; when time is over, to that of the frame that has been begun. */
        size_t size = time >= end ? frame_size - at % frame_size : frames_size - at;
        ssize_t sent = send(options.fd, frames + at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            die("the client ended the connection");
        written += (uint64_t)sent;
        at = (at + (size_t)sent) % frames_size;
    }
    uint64_t server = cpu_of_server(), own = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    static const unsigned char over[] = {0x88, 0x02, 0x03, 0xE8};
    send(options.fd, over, sizeof over, MSG_NOSIGNAL);
    report(time, server, own, (written - total) / frame_size, written / frame_size);
    shutdown(options.fd, SHUT_WR); /* the server ends TCP first (RFC 6455 section 7.1.1); the harness has this socket too */
    struct timeval patience = {.tv_sec = PATIENCE};
    setsockopt(options.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (recv(options.fd, block, BLOCK, 0) > 0) /* its Close */
        ;
    close(options.fd);
}

int main(int count, char **words) {
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"echo", echo}, {"handshakes", handshakes}, {"broadcast", broadcast}, {"idle", idle}, {"source", source}};
    if (count < 2)
        die("load echo|handshakes|broadcast|idle|source [option ...]");
    read_options(count - 1, words + 1);
#ifndef TLS
    if (options.tls)
        die("this load was built without TLS");
#endif
    signal(SIGPIPE, SIG_IGN); /* SSL_write knows no MSG_NOSIGNAL */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        die_of("epoll_create1");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(words[1], modes[i].name) == 0) {
            if (modes[i].run != source)
                build_client_frames();
            build_request();
            modes[i].run();
            return 0;
        }
    }
    die("there is no load of that name: %s", words[1]);
}
