/*
 * The limit of a server on this machine: bare.py in C. It reads, counts bytes, and answers with frames that are there
 * already; sockets block, as there. Options: --size, --port; the port is printed; its stdin's end is its own.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024, EVENTS = 256, FILES = 65536 };

static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static unsigned char block[BLOCK];
static size_t held[FILES]; /* bytes of the frame in progress, by descriptor, and one more: 0 is before the handshake */

static void die(const char *call) {
    perror(call);
    exit(1);
}

/* Sends all of it, however often the kernel has to be asked. */
static int send_all(int fd, const void *data, size_t size) {
    const unsigned char *rest = data;
    while (size) {
        ssize_t count = send(fd, rest, size, MSG_NOSIGNAL);
        if (count < 0)
            return -1;
        rest += count;
        size -= (size_t)count;
    }
    return 0;
}

/* Answers what came at *fd*; -1 is its end. */
static int serve(int fd, const unsigned char *frames, size_t frame_size, size_t most) {
    ssize_t count = recv(fd, block, BLOCK, 0);
    if (count <= 0)
        return -1;
    if (held[fd] == 0) { /* the whole request is in the first read */
        held[fd] = 1;
        return send_all(fd, answer, sizeof answer - 1);
    }
    size_t incoming = frame_size + 4; /* bytes of the client's frame: that of the masking key more */
    size_t bytes = held[fd] - 1 + (size_t)count, due = bytes / incoming;
    held[fd] = bytes % incoming + 1;
    for (size_t part; due; due -= part) {
        part = due < most ? due : most;
        if (send_all(fd, frames, part * frame_size))
            return -1;
    }
    return 0;
}

int main(int count, char **words) {
    size_t size = 16;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(words[i], "--size") == 0)
            size = strtoul(words[i + 1], NULL, 10);
        else if (strcmp(words[i], "--port") == 0)
            address.sin_port = htons((uint16_t)atoi(words[i + 1]));
    }

    size_t width = size < 126 ? 0 : size < 65536 ? 2 : 8, frame_size = 2 + width + size;
    size_t most = BLOCK / frame_size ? BLOCK / frame_size : 1;
    unsigned char *frames = malloc(frame_size * most);
    if (frames == NULL)
        die("malloc");
    frames[0] = 0x82;
    frames[1] = (unsigned char)(width == 0 ? size : width == 2 ? 126 : 127);
    for (size_t i = 0; i < width; i++)
        frames[2 + i] = (unsigned char)(size >> 8 * (width - 1 - i));
    for (size_t i = 0; i < size; i++)
        frames[2 + width + i] = (unsigned char)(i * 151 + i / 256 + 7);
    for (size_t i = 1; i < most; i++)
        memcpy(frames + i * frame_size, frames, frame_size);

    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < FILES ? limit.rlim_max : FILES;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        die("listen");
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = 0;
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == 0) {
                if (read(0, block, BLOCK) <= 0)
                    return 0;
            } else if (fd == listener) {
                event.data.fd = accept(listener, NULL, NULL);
                if (event.data.fd < 0)
                    continue;
                setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                held[event.data.fd] = 0;
                epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
            } else if (serve(fd, frames, frame_size, most)) {
                close(fd);
            }
        }
    }
}
