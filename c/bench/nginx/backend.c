/*
** backend.c - the backend of run.lua's loads: it serves 8 at once in 20 ms
** each, and collapses beyond, as spec/nginx/origin.lua does; with n of them it
** takes (n / 8)^2 times as long.
**
** usage: backend [VARY]       the share by which one may take more or less
**
** Writes its port, then serves until it is killed. X-Began says the how manieth
** a request was; /origin/stats and /origin/reset are as origin.lua's.
**
** It begins requests in the order in which they come, which is what is
** measured: a connection is watched for as long as it is there. One that is
** watched only once its last response is out, as a program of coroutines does
** it, is behind those that are ready by then, though its request came before
** theirs.
*/
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  AT_ONCE = 8,
  SERVICE_US = 20000,
  BACKLOG = 4096,
  TEXT_MAX = 4096, /* bytes of a request */
  ANSWER_MAX = 1024
};

typedef struct client {
  struct event *readable, *due;
  int fd;
  int began;   /* number of the request that is served; 0: none is */
  size_t size; /* of what came and was not looked at yet */
  char text[TEXT_MAX + 1];
} client;

static struct event_base *base;
static double vary;
static int serving, highest, began, served, gone;

static void check(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

/* --- a request ------------------------------------------------------------ */

static void answer(const client *c, const char *body) {
  char text[ANSWER_MAX];
  int size = snprintf(text, sizeof text,
                      "HTTP/1.1 200 OK\r\nX-Began: %d\r\n"
                      "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n"
                      "%s",
                      c->began, strlen(body), body);
  if (write(c->fd, text, (size_t)size) != size) perror("backend: write");
}

static void begin(client *c) {
  double load = ++serving > AT_ONCE ? (double)serving / AT_ONCE : 1;
  double us = SERVICE_US * load * load *
              (1 + vary * (2.0 * rand() / (RAND_MAX + 1.0) - 1));
  struct timeval time = { (time_t)(us / 1e6), 0 };
  time.tv_usec = (suseconds_t)(us - 1e6 * (double)time.tv_sec);
  if (serving > highest) highest = serving;
  c->began = ++began;
  evtimer_add(c->due, &time);
}

/* The count goes down before the last byte goes out: then the next may come. */
static void leave(client *c, int *how) {
  if (!c->began) return;
  serving--;
  ++*how;
  event_del(c->due);
}

static void inform(const client *c) {
  char text[ANSWER_MAX] = "";
  if (!strncmp(c->text, "GET /origin/reset", 17))
    highest = began = served = gone = 0;
  else
    snprintf(text, sizeof text,
             "serving %d\nhighest %d\nbegan %d\nserved %d\ngone %d\n", serving,
             highest, began, served, gone);
  answer(c, text);
}

/* Begins what has come whole; the client asks for one thing at a time. */
static void look(client *c) {
  const char *end = strstr(c->text, "\r\n\r\n");
  if (!end || c->began) return;
  if (!strncmp(c->text, "GET /origin/", 12))
    inform(c);
  else
    begin(c);
  c->size = 0;
}

static void on_due(evutil_socket_t fd, short what, void *data) {
  client *c = data;
  (void)fd;
  (void)what;
  leave(c, &served);
  answer(c, "served\n");
  c->began = 0;
}

/* --- a connection --------------------------------------------------------- */

static void hang_up(client *c) {
  leave(c, &gone);
  event_free(c->readable);
  event_free(c->due);
  close(c->fd);
  free(c);
}

static void on_readable(evutil_socket_t fd, short what, void *data) {
  client *c = data;
  ssize_t got = read(fd, c->text + c->size, TEXT_MAX - c->size);
  (void)what;
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    hang_up(c);
    return;
  }
  c->size += (size_t)got;
  c->text[c->size] = '\0';
  look(c);
}

static void welcome(int fd) {
  client *c = calloc(1, sizeof *c);
  int on = 1;
  check(c != NULL, "backend: calloc");
  c->fd = fd;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
  c->due = evtimer_new(base, on_due, c);
  check(c->readable && c->due && !evutil_make_socket_nonblocking(fd) &&
            !event_add(c->readable, NULL),
        "backend: a connection");
}

static void on_connection(evutil_socket_t fd, short what, void *data) {
  int accepted;
  (void)what;
  (void)data;
  while ((accepted = accept(fd, NULL, NULL)) >= 0) welcome(accepted);
}

/* --- the program ---------------------------------------------------------- */

/* On a free port of loopback; writes which. */
static int new_socket(void) {
  struct sockaddr_in at = { .sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  struct sockaddr *any = (struct sockaddr *)(void *)&at;
  socklen_t size = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  check(fd >= 0 && !evutil_make_socket_nonblocking(fd) &&
            !bind(fd, any, size) && !listen(fd, BACKLOG) &&
            !getsockname(fd, any, &size),
        "backend: socket");
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

/* Timers finer than milliseconds. */
static struct event_base *new_base(void) {
  struct event_config *config = event_config_new();
  struct event_base *made;
  check(config && !event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER),
        "backend: event_config_new");
  made = event_base_new_with_config(config);
  event_config_free(config);
  check(made != NULL, "backend: event_base_new");
  return made;
}

int main(int count, char **words) {
  struct event *connection;
  vary = count > 1 ? strtod(words[1], NULL) : 0;
  base = new_base();
  connection =
      event_new(base, new_socket(), EV_READ | EV_PERSIST, on_connection, NULL);
  check(connection && !event_add(connection, NULL), "backend: event_add");
  return event_base_dispatch(base) != 0;
}
