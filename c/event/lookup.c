/*
** lookup.c - a parked ticket that waits for a host name's addresses.
*/
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

enum { ADDRESSES_MAX = 16 };

struct weir_lookup {
  weir_loop *loop;                                 /* not owned */
  weir_ticket ticket;                              /* to be woken */
  struct evdns_getaddrinfo_request *request;       /* NULL: answered */
  const char *error;                               /* static; NULL: none */
  int count;                                       /* addresses */
  char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN]; /* numeric */
};

/* The resolver: the system's servers and hosts file, and an idle one does not
** keep the loop running. Without a resolv.conf only the hosts file answers. */
static struct evdns_base *dns_of(weir_loop *loop) {
  if (!loop->dns) {
    loop->dns = evdns_base_new(loop->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (loop->dns)
      evdns_base_resolv_conf_parse(loop->dns, DNS_OPTIONS_ALL,
                                   "/etc/resolv.conf");
  }
  return loop->dns;
}

static void add(weir_lookup *lookup, const struct sockaddr *address) {
  char *text = lookup->addresses[lookup->count];
  const void *raw;
  if (address->sa_family == AF_INET)
    raw = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
  else if (address->sa_family == AF_INET6)
    raw = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
  else
    return;
  if (inet_ntop(address->sa_family, raw, text, INET6_ADDRSTRLEN))
    lookup->count++;
}

static void on_answer(int error, struct evutil_addrinfo *found, void *data) {
  weir_lookup *lookup = data;
  lookup->request = NULL;
  if (error == EVUTIL_EAI_CANCEL) { /* freed: see weir_lookup_free */
    free(lookup);
    return;
  }
  if (error) lookup->error = evutil_gai_strerror(error);
  for (const struct evutil_addrinfo *a = found;
       a && lookup->count < ADDRESSES_MAX; a = a->ai_next)
    add(lookup, a->ai_addr);
  if (found) evutil_freeaddrinfo(found);
  weir_wake(lookup->loop->port, lookup->ticket);
  weir_loop_touch(lookup->loop);
}

weir_lookup *weir_lookup_new(weir_loop *loop, const char *host,
                             weir_ticket ticket) {
  struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM };
  struct evdns_base *dns = dns_of(loop);
  weir_lookup *lookup = dns ? calloc(1, sizeof *lookup) : NULL;
  struct evdns_getaddrinfo_request *request;
  if (!lookup) return NULL;
  lookup->loop = loop;
  lookup->ticket = ticket;
  request = evdns_getaddrinfo(dns, host, NULL, &hints, on_answer, lookup);
  lookup->request = request; /* NULL: on_answer was called already */
  return lookup;
}

/* A request in flight is canceled; its last call of on_answer frees it. */
void weir_lookup_free(weir_lookup *lookup) {
  if (!lookup) return;
  if (!lookup->request) {
    free(lookup);
    return;
  }
  lookup->loop->canceled = true;
  evdns_getaddrinfo_cancel(lookup->request);
}

const char *weir_lookup_address(const weir_lookup *lookup, int i) {
  return i >= 0 && i < lookup->count ? lookup->addresses[i] : NULL;
}

const char *weir_lookup_error(const weir_lookup *lookup) {
  return lookup->error;
}
