/*
** test_lookup.c - the libevent host: tickets that wait for host names.
**
** A name server of the test's own, on the same base, answers those names that
** no hosts file has.
*/
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event/loop.h"
#include "rig.h"

/* A name server: everything that begins with "good" has two addresses, what
** begins with "silent" is not answered, the others do not exist. */
typedef struct server {
  struct evdns_server_port *port;
  int fd;
  int asked; /* questions so far */
} server;

static void answer(struct evdns_server_request *request, const char *name) {
  struct in_addr two[2];
  two[0].s_addr = htonl(0xC0000201);
  two[1].s_addr = htonl(0xC0000202);
  evdns_server_request_add_a_reply(request, name, 2, two, 60);
}

static void on_request(struct evdns_server_request *request, void *data) {
  const struct evdns_server_question *question = request->questions[0];
  bool good = evutil_ascii_strncasecmp(question->name, "good", 4) == 0;
  ((server *)data)->asked++;
  if (evutil_ascii_strncasecmp(question->name, "silent", 6) == 0) {
    evdns_server_request_drop(request);
    return;
  }
  if (good && question->type == EVDNS_TYPE_A) answer(request, question->name);
  evdns_server_request_respond(request, good ? 0 : DNS_ERR_NOTEXIST);
}

/* Makes it the only server that the loop's resolver asks. A first lookup, of
** what is an address already, makes the resolver. */
static void serve(rig *r, server *s) {
  struct sockaddr_in address = { .sin_family = AF_INET };
  struct sockaddr *any = (struct sockaddr *)(void *)&address;
  socklen_t size = sizeof address;
  char text[64];
  weir_lookup_free(weir_lookup_new(r->loop, "127.0.0.1", rig_park(r, 0)));
  CHECK(rig_run_until(r, 1));
  r->got = 0;
  *s = (server){ .fd = socket(AF_INET, SOCK_DGRAM, 0) };
  evutil_make_socket_nonblocking(s->fd);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_EQ(bind(s->fd, any, size), 0);
  CHECK_EQ(getsockname(s->fd, any, &size), 0);
  s->port = evdns_add_server_port_with_base(weir_loop_base(r->loop), s->fd, 0,
                                            on_request, s);
  snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(address.sin_port));
  evdns_base_clear_nameservers_and_suspend(r->loop->dns);
  CHECK_EQ(evdns_base_nameserver_ip_add(r->loop->dns, text), 0);
  evdns_base_resume(r->loop->dns);
  evdns_base_search_clear(r->loop->dns);
}

static void end_serving(const server *s) {
  evdns_close_server_port(s->port);
  close(s->fd);
}

/* Whether the lookup found this address. */
static bool found(const weir_lookup *lookup, const char *address) {
  const char *one;
  for (int i = 0; (one = weir_lookup_address(lookup, i)) != NULL; i++)
    if (!strcmp(one, address)) return true;
  return false;
}

TEST(an_address_is_its_own_answer) {
  rig r;
  weir_ticket ticket;
  weir_lookup *lookup;
  rig_open(&r, NULL);
  ticket = rig_park(&r, 0);
  lookup = weir_lookup_new(r.loop, "127.0.0.1", ticket);
  CHECK_EQ(r.turns, 0);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  CHECK_TEXT(weir_lookup_address(lookup, 0), "127.0.0.1");
  CHECK(weir_lookup_address(lookup, 1) == NULL);
  CHECK(weir_lookup_address(lookup, -1) == NULL);
  CHECK(weir_lookup_error(lookup) == NULL);
  weir_lookup_free(lookup);
  weir_lookup_free(NULL);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(an_address_of_the_other_kind_too) {
  rig r;
  weir_lookup *lookup;
  rig_open(&r, NULL);
  lookup = weir_lookup_new(r.loop, "::1", rig_park(&r, 0));
  CHECK(rig_run_until(&r, 1));
  CHECK_TEXT(weir_lookup_address(lookup, 0), "::1");
  weir_lookup_free(lookup);
  rig_close(&r);
}

TEST(localhost_is_in_the_hosts_file) {
  rig r;
  weir_lookup *lookup;
  rig_open(&r, NULL);
  lookup = weir_lookup_new(r.loop, "localhost", rig_park(&r, 0));
  CHECK(rig_run_until(&r, 1));
  CHECK(found(lookup, "127.0.0.1") || found(lookup, "::1"));
  weir_lookup_free(lookup);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(a_name_server_is_asked_and_an_idle_resolver_keeps_nobody_waiting) {
  rig r;
  server s;
  weir_ticket ticket;
  weir_lookup *lookup;
  rig_open(&r, NULL);
  serve(&r, &s);
  ticket = rig_park(&r, 0);
  lookup = weir_lookup_new(r.loop, "good.example", ticket);
  CHECK_EQ(r.got, 0);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  CHECK(s.asked > 0);
  CHECK(found(lookup, "192.0.2.1"));
  CHECK(found(lookup, "192.0.2.2"));
  CHECK(weir_lookup_error(lookup) == NULL);
  weir_lookup_free(lookup);
  end_serving(&s);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

TEST(a_name_that_does_not_exist_is_an_error_and_no_address) {
  rig r;
  server s;
  weir_lookup *lookup;
  rig_open(&r, NULL);
  serve(&r, &s);
  lookup = weir_lookup_new(r.loop, "bad.example", rig_park(&r, 0));
  CHECK(rig_run_until(&r, 1));
  CHECK(weir_lookup_error(lookup) != NULL);
  CHECK(weir_lookup_address(lookup, 0) == NULL);
  weir_lookup_free(lookup);
  end_serving(&s);
  rig_close(&r);
}

TEST(lookups_under_way_do_not_wait_for_each_other) {
  rig r;
  server s;
  weir_ticket ticket;
  weir_lookup *silent, *good;
  rig_open(&r, NULL);
  serve(&r, &s);
  silent = weir_lookup_new(r.loop, "silent.example", rig_park(&r, 0));
  ticket = rig_park(&r, 0);
  good = weir_lookup_new(r.loop, "good.example", ticket);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_ADMITTED);
  weir_lookup_free(good);
  weir_lookup_free(silent);
  weir_loop_once(r.loop, false);
  CHECK_EQ(r.got, 1);
  end_serving(&s);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

/* Its ticket timed out, as the caller found out; nobody else is woken later. */
TEST(a_lookup_freed_while_it_is_under_way_wakes_nobody) {
  rig r;
  server s;
  weir_ticket ticket;
  weir_lookup *lookup;
  rig_open(&r, NULL);
  serve(&r, &s);
  ticket = rig_park(&r, 2 * RIG_MS);
  lookup = weir_lookup_new(r.loop, "silent.example", ticket);
  rig_touch(&r);
  CHECK(rig_run_until(&r, 1));
  SAW(&r, 0, ticket, WEIR_TIMEOUT);
  rig_park(&r, 0); /* in the same record */
  weir_lookup_free(lookup);
  weir_loop_once(r.loop, false);
  CHECK_EQ(r.got, 1);
  end_serving(&s);
  NOTHING_LEFT(&r);
  rig_close(&r);
}

/* The resolver ends a request later, from the base: here there is no later. */
TEST(a_lookup_under_way_may_be_freed_just_before_its_loop) {
  rig r;
  server s;
  weir_lookup *lookup;
  rig_open(&r, NULL);
  serve(&r, &s);
  lookup = weir_lookup_new(r.loop, "silent.example", rig_park(&r, 0));
  weir_loop_once(r.loop, true);
  weir_lookup_free(lookup);
  end_serving(&s);
  rig_close(&r);
}

TEST(and_its_base_may_go_on_without_the_loop) {
  rig r;
  server s;
  weir_lookup *lookup;
  rig_open(&r, event_base_new());
  serve(&r, &s);
  lookup = weir_lookup_new(r.loop, "silent.example", rig_park(&r, 0));
  weir_loop_once(r.loop, true);
  weir_lookup_free(lookup);
  end_serving(&s);
  weir_loop_free(r.loop);
  r.loop = NULL;
  while (event_base_loop(r.base, EVLOOP_NONBLOCK) == 0)
    ;
  rig_close(&r);
}

CHECK_MAIN
