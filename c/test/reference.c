/* reference.c - see reference.h: its tickets and limiters, found and
** counted. */
#include "reference.h"

#include <string.h>

#include "reference_inner.h"

#define WORD(text)                                                             \
  { text, sizeof(text) - 1 }

const ref_word ref_keys[REF_KEYS] = {
  { NULL, 0 },
  WORD(""),
  WORD("a"),
  WORD("a\0"),
  WORD("b"),
  { "-a-key-as-long-as-a-label-of-it", WEIR_LABEL_MAX },
  { "+a-key-that-is-longer-than-that", WEIR_LABEL_MAX + 1 },
};

const ref_word ref_flows[REF_FLOWS] = {
  { NULL, 0 }, WORD(""), WORD("x"), WORD("y"), WORD("xy"),
};

static int find_word(const ref_word *words, int count, const void *bytes,
                     uint32_t size) {
  if (!bytes) return 0;
  for (int i = 1; i < count; i++)
    if (words[i].size == size && !memcmp(words[i].bytes, bytes, size)) return i;
  return -1;
}

int ref_key_of(const void *key, uint32_t size) {
  return find_word(ref_keys, REF_KEYS, key, size);
}

int ref_flow_of(const void *flow, uint32_t size) {
  return find_word(ref_flows, REF_FLOWS, flow, size);
}

void ref_label(int key, char out[WEIR_LABEL_MAX + 1]) {
  uint32_t size = ref_keys[key].size;
  bool cut = size > WEIR_LABEL_MAX;
  if (cut) size = WEIR_LABEL_MAX - 1;
  for (uint32_t i = 0; i < size; i++)
    out[i] = (char)(ref_keys[key].bytes[i] ? ref_keys[key].bytes[i] : '?');
  if (cut) out[size++] = '~';
  out[size] = 0;
}

void ref_init(reference *model) {
  for (int i = 0; i < REF_TICKETS; i++) model->tickets[i].state = WEIR_FREE;
  for (int i = 0; i < REF_LIMITERS; i++) model->limiters[i].live = false;
  model->ticket_numbers.count = model->ticket_numbers.used = 0;
  model->queue_numbers.count = model->queue_numbers.used = 0;
  model->high = 0;
  model->arrivals = model->decisions = 0;
  model->heard = model->ahead = 0;
  model->now = model->t = model->label = 0;
  for (int i = 0; i < REF_PORTS; i++) model->turns[i] = 0;
  model->no_memory = model->orderly = false;
  model->broken = NULL;
}

/* --- the time ------------------------------------------------------------ */

/* No time passes where the callers' clock goes back by a second or more. */
static bool was_set(const reference *model, uint64_t now) {
  return now <= model->heard && model->heard - now >= 1000000000;
}

/* NEVER is no time. */
static uint64_t later_by(uint64_t now, uint64_t ahead) {
  return now < WEIR_NEVER - 1 - ahead ? now + ahead : WEIR_NEVER - 1;
}

uint64_t ref_clock(const reference *model, uint64_t now) {
  return later_by(was_set(model, now) ? model->heard : now, model->ahead);
}

uint64_t ref_clock_then(const reference *model, uint64_t then) {
  return then > model->heard ? 0 : later_by(then, model->ahead);
}

uint64_t ref_clock_latest(const reference *model) {
  uint64_t last = later_by(model->heard, model->ahead);
  return model->t > last ? model->t : last;
}

uint64_t ref_clock_back(const reference *model, uint64_t t) {
  if (t == WEIR_NEVER) return t;
  return t > model->ahead ? t - model->ahead : 0;
}

void ref_look_at(reference *model, uint64_t now) {
  model->now = now;
  model->t = ref_clock(model, now);
}

/* After the clock was set, what is due is due at other times of it. */
static void set_clock(reference *model) {
  for (int i = 0; i < REF_LIMITERS; i++) {
    if (!model->limiters[i].live) continue;
    ref_law_forget(&model->limiters[i]);
    for (int key = 0; key < REF_KEYS; key++)
      if (model->limiters[i].keys[key].queue)
        ref_tell(model, &model->limiters[i].keys[key]);
  }
}

/* (It was set, if its clock is farther ahead than it was; near the end of time
** it can not be.) */
void ref_tick(reference *model, uint64_t now) {
  bool set;
  ref_look_at(model, now);
  set = model->t - now > model->ahead;
  if (set) model->ahead = model->t - now;
  if (set || now > model->heard) model->heard = now;
  if (set) set_clock(model);
}

/* --- numbers ------------------------------------------------------------- */

int ref_number_take(ref_numbers *numbers) {
  return numbers->count ? numbers->free[--numbers->count] : ++numbers->used;
}

void ref_number_give(ref_numbers *numbers, int number) {
  numbers->free[numbers->count++] = (int16_t)number;
}

ref_part *ref_part_numbered(reference *model, int number, ref_ticket **out) {
  for (int i = 0; i < model->high; i++) {
    ref_ticket *ticket = &model->tickets[i];
    for (int j = 0; ticket->state != WEIR_FREE && j < ticket->count; j++) {
      *out = ticket;
      if (ticket->numbers[j] == number) return &ticket->parts[j];
    }
  }
  return NULL;
}

/* --- finding ------------------------------------------------------------- */

ref_ticket *ref_ticket_of(reference *model, weir_ticket handle) {
  for (int i = 0; i < model->high; i++) {
    ref_ticket *ticket = &model->tickets[i];
    if (ticket->state != WEIR_FREE && ticket->handle == handle) return ticket;
  }
  return NULL;
}

ref_limiter *ref_limiter_of(reference *model, weir_limiter handle) {
  for (int i = 0; i < REF_LIMITERS; i++) {
    ref_limiter *limiter = &model->limiters[i];
    if (limiter->live && limiter->handle == handle) return limiter;
  }
  return NULL;
}

ref_ticket *ref_own(reference *model, int port, weir_ticket handle) {
  ref_ticket *ticket = ref_ticket_of(model, handle);
  return ticket && ticket->port == port ? ticket : NULL;
}

ref_limiter *ref_limiter_at(reference *model, const ref_instance *instance) {
  return &model->limiters[instance->limiter];
}

ref_instance *ref_instance_at(reference *model, const ref_part *part) {
  return &model->limiters[part->limiter].keys[part->key];
}

bool ref_is_waiting(const ref_ticket *ticket) {
  return ticket->state == WEIR_QUEUED && ticket->kind == REF_REQUEST &&
         !ticket->leaving;
}

ref_instance *ref_waits_at(reference *model, const ref_ticket *ticket) {
  return ref_instance_at(model, &ticket->parts[ticket->waits]);
}

bool ref_is_admitted(const ref_ticket *ticket) {
  if (ticket->kind != REF_REQUEST || ticket->leaving) return false;
  return ticket->state == WEIR_HELD ||
         (ticket->state == WEIR_READY && ticket->verdict == WEIR_ADMITTED);
}

/* --- counting ------------------------------------------------------------ */

uint64_t ref_in_use(const reference *model, const ref_instance *instance) {
  uint64_t sum = 0;
  for (int i = 0; i < model->high; i++) {
    const ref_ticket *ticket = &model->tickets[i];
    if (!ref_is_admitted(ticket)) continue;
    for (int j = 0; j < ticket->count; j++)
      if (ticket->parts[j].limiter == instance->limiter &&
          ticket->parts[j].key == instance->key && !ticket->parts[j].free)
        sum += ticket->parts[j].cost;
  }
  return sum;
}

uint32_t ref_waiting(reference *model, const ref_instance *instance) {
  uint32_t count = 0;
  for (int i = 0; i < model->high; i++)
    count += ref_is_waiting(&model->tickets[i]) &&
             ref_waits_at(model, &model->tickets[i]) == instance;
  return count;
}

/* Parts of a ticket that ask this limiter. */
static uint32_t parts_at(const ref_ticket *ticket, int limiter) {
  uint32_t count = 0;
  for (int i = 0; i < ticket->count; i++)
    count += ticket->parts[i].limiter == limiter;
  return count;
}

uint32_t ref_limiter_waiting(reference *model, int limiter) {
  uint32_t count = 0;
  for (int i = 0; i < model->high; i++)
    if (ref_is_waiting(&model->tickets[i]))
      count += parts_at(&model->tickets[i], limiter);
  return count;
}

bool ref_is_idle_limiter(reference *model, int limiter) {
  for (int i = 0; i < model->high; i++) {
    const ref_ticket *ticket = &model->tickets[i];
    if ((ref_is_waiting(ticket) || ref_is_admitted(ticket)) &&
        parts_at(ticket, limiter))
      return false;
  }
  return true;
}

bool ref_has_tickets(const reference *model, int limiter) {
  for (int i = 0; i < model->high; i++)
    if (model->tickets[i].state != WEIR_FREE &&
        parts_at(&model->tickets[i], limiter))
      return true;
  return false;
}

bool ref_tickets_full(const reference *model) {
  for (int i = 0; i < REF_TICKETS; i++)
    if (model->tickets[i].state == WEIR_FREE) return false;
  return true;
}

bool ref_limiters_full(const reference *model) {
  for (int i = 0; i < REF_LIMITERS; i++)
    if (!model->limiters[i].live) return false;
  return true;
}

/* --- making and freeing --------------------------------------------------- */

static int records_of(const ref_ticket *ticket) {
  return ticket->count ? ticket->count : 1;
}

ref_ticket *ref_make(reference *model, const ref_ticket *like) {
  ref_ticket *ticket = model->tickets;
  while (ticket->state != WEIR_FREE) ticket++;
  *ticket = *like;
  ticket->handle = model->label;
  ticket->arrival = ++model->arrivals;
  for (int i = 0; i < records_of(ticket); i++)
    ticket->numbers[i] = ref_number_take(&model->ticket_numbers);
  if (ticket - model->tickets >= model->high) model->high++;
  return ticket;
}

void ref_collect(reference *model, int limiter) {
  if (!model->limiters[limiter].refs && !ref_has_tickets(model, limiter))
    model->limiters[limiter].live = false;
}

void ref_free(reference *model, ref_ticket *ticket, bool first_last) {
  int count = records_of(ticket);
  for (int i = 0; i < count; i++)
    ref_number_give(&model->ticket_numbers,
                    ticket->numbers[(i + first_last) % count]);
  ticket->state = WEIR_FREE;
  for (int i = 0; i < ticket->count; i++)
    ref_collect(model, ticket->parts[i].limiter);
}
