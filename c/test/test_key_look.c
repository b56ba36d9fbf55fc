/* test_key_look.c - what can be seen of keys: labels, counts, walks. */
#include "world.h"

/* One permit for a key, and so many keys. */
static weir_config keyed(uint32_t keys) {
  weir_config config = WEIR_CONFIG_INIT;
  config.keys = keys;
  return config;
}

#define HOLD_KEY(w, key) ASK(w, WEIR_ADMITTED, KEY(key))
#define WAIT_KEY(w, key) ASK(w, WEIR_WAITING, KEY(key))

static void check_label(check_place place, const char *key, size_t size,
                        const char *wanted) {
  world w;
  world_open(&w, 1);
  world_acquire(place, &w, REQUEST(.key = key, .key_size = (uint32_t)size),
                WEIR_ADMITTED);
  check_text(place, world_key(&w, key, (uint32_t)size).label, wanted);
  world_close(&w);
}

#define LABEL(key, wanted) check_label(HERE, key, sizeof(key) - 1, wanted)

TEST(a_label_is_the_key_fit_to_be_read) {
  LABEL("", "");
  LABEL("10.0.0.1", "10.0.0.1");
  LABEL("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80",
        "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80");
  LABEL("a\0b\n\x1B[m\x7F", "a?b??[m?");
  LABEL("\xC2\x85\xC2\xA0", "??\xC2\xA0");               /* a C1 control */
  LABEL("\xFF\xC0\x80\xC1\xBF", "?????");                /* never UTF-8 */
  LABEL("\xE0\x9F\xBF\xF0\x8F\xBF\xBF", "???????");      /* overlong */
  LABEL("\xED\xA0\x80\xED\x9F\xBF", "???\xED\x9F\xBF");  /* a surrogate */
  LABEL("\xF4\x90\x80\x80\xF5\x80\x80\x80", "????????"); /* beyond */
  LABEL("\xE2\x82", "??");                               /* cut off */
  LABEL("\xE2\x82x\x80", "??x?");
}

TEST(a_label_that_was_cut_off_says_so_and_cuts_no_character) {
  CHECK_EQ(WEIR_LABEL_MAX, 15);
  LABEL("123456789012345", "123456789012345");
  LABEL("1234567890123456", "12345678901234~");
  LABEL("123456789012\xE2\x82\xAC", "123456789012\xE2\x82\xAC");
  LABEL("1234567890123\xE2\x82\xAC", "1234567890123~");
  LABEL("12345678901\xE2\x82\xACxx", "12345678901\xE2\x82\xAC~");
  LABEL("12345678901234\n6", "12345678901234~");
}

/* Two keys may have one label; nothing else tells them apart to look at. */
TEST(a_key_that_is_known_has_an_id) {
  world w;
  weir_ticket_info info;
  weir_ticket a;
  uint64_t id;
  world_open_with(&w, keyed(2));
  a = HOLD_KEY(&w, "12345678901234567890");
  HOLD_KEY(&w, "12345678901234567891");
  id = world_key(&w, "12345678901234567890", 20).id;
  CHECK(id != 0);
  CHECK(world_key(&w, "12345678901234567891", 20).id != 0);
  CHECK(world_key(&w, "12345678901234567891", 20).id != id);
  CHECK_EQ(world_key(&w, "12345678901234567892", 20).id, 0);
  CHECK_EQ(world_key(&w, NULL, 0).id, 0);
  CHECK_EQ(weir_ticket_inspect(w.port, a, w.now, &info), 0);
  CHECK_EQ(info.key_id, id);
  CHECK_EQ(weir_ticket_inspect(w.port, HOLD(&w, 1), w.now, &info), 0);
  CHECK_EQ(info.key_id, 0);
  RELEASE(&w, a);
  HOLD_KEY(&w, "another");
  CHECK_EQ(world_key(&w, "12345678901234567890", 20).id, 0);
  CHECK(world_key(&w, "another", 7).id != id);
  world_close(&w);
}

TEST(a_key_tells_what_is_known_of_it) {
  world w;
  weir_key_info info;
  weir_config config = keyed(0);
  config.concurrent = 2;
  world_open_with(&w, config);
  ASK(&w, WEIR_ADMITTED, KEY("a"), .cost = 2);
  WAIT_KEY(&w, "a");
  CANCEL(&w, WAIT_KEY(&w, "a"));
  ASK(&w, WEIR_FULL, KEY("a"), .try_only = true);
  HOLD(&w, 1);
  info = world_key(&w, "a", 1);
  CHECK_TEXT(info.label, "a");
  CHECK_EQ(info.limit, 2);
  CHECK_EQ(info.in_use, 2);
  CHECK_EQ(info.waiting, 1);
  CHECK_EQ(info.admitted, 1);
  CHECK_EQ(info.refused, 2);
  info = world_key(&w, NULL, 0);
  CHECK_EQ(info.in_use, 1);
  CHECK_EQ(info.waiting, 0);
  info = world_key(&w, "b", 1);
  CHECK_TEXT(info.label, "");
  CHECK_EQ(info.limit, 2);
  CHECK_EQ(info.in_use + info.waiting + info.admitted + info.refused, 0);
  CHECK_EQ(weir_key_inspect(w.space, 99, "a", 1, &info), WEIR_E_STALE);
  world_close(&w);
}

TEST(a_walk_meets_every_key_of_its_limiter_once) {
  weir_config one = WEIR_CONFIG_INIT;
  world w;
  weir_limiter other;
  weir_key_info info;
  unsigned seen = 0;
  uint32_t cursor = 0;
  world_open(&w, 1);
  for (uint32_t i = 'A'; i < 'A' + 26; i++)
    ASK(&w, WEIR_ADMITTED, .key = &(char){ (char)i }, .key_size = 1);
  CHECK_EQ(weir_limiter_open(w.space, NULL, &one, w.now, &other), 0);
  while (weir_key_walk(w.space, w.limiter, &cursor, &info))
    seen += info.label[0] >= 'A' && info.in_use == 1
                ? 1u << (info.label[0] - 'A')
                : 1u << 31;
  CHECK_EQ(seen, (1u << 26) - 1);
  CHECK(!weir_key_walk(w.space, w.limiter, &cursor, &info));
  cursor = 0;
  CHECK(!weir_key_walk(w.space, other, &cursor, &info));
  CHECK(!weir_key_walk(w.space, 99, &cursor, &info));
  world_close(&w);
}

TEST(a_ticket_tells_its_key) {
  world w;
  weir_ticket_info info;
  uint32_t cursor = 0;
  world_open(&w, 1);
  CHECK_EQ(weir_ticket_inspect(w.port, HOLD_KEY(&w, "key"), w.now, &info), 0);
  CHECK_TEXT(info.key, "key");
  CHECK_EQ(weir_ticket_inspect(w.port, HOLD(&w, 1), w.now, &info), 0);
  CHECK_TEXT(info.key, "");
  CHECK(weir_ticket_walk(w.port, &cursor, w.now, &info));
  CHECK_TEXT(info.key, "key");
  world_close(&w);
}

TEST(holding_all_is_asked_of_one_key) {
  world w;
  weir_request mine = { .cookie = 7, KEY("a") }, other = { .cookie = 7 };
  weir_request unknown = { .cookie = 7, KEY("b") };
  world_open(&w, 2);
  ASK(&w, WEIR_ADMITTED, .cookie = 7, KEY("a"), .cost = 2);
  ASK(&w, WEIR_ADMITTED, .cookie = 8);
  CHECK(weir_holds_all(w.port, w.limiter, &mine));
  CHECK(!weir_holds_all(w.port, w.limiter, &other));
  CHECK(!weir_holds_all(w.port, w.limiter, &unknown));
  world_close(&w);
}

CHECK_MAIN
