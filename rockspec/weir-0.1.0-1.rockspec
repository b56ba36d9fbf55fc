rockspec_format = "3.0"
package = "weir"
version = "0.1.0-1"

description = {
  summary = "Limits how much of your Lua runs at once",
  detailed = [[
A decorator for coroutines: at most n calls of a function run at once, the
others wait their turn in order, on a libevent loop or on your own. It needs
libevent 2.1. weir.tcp and the command `weir` take LuaSocket and argparse where
they are installed, as rocks or by the system.]],
  license = "MIT",
}

-- LuaSocket and argparse are not listed: nothing but weir.tcp and the command
-- use them, and LuaRocks would download what the system's packages have brought
-- already.
dependencies = { "lua >= 5.4, < 5.5" }

external_dependencies = {
  LIBEVENT = { header = "event2/event.h", library = "event_core" },
}

-- `make rock` puts this archive beside the rockspec and packs both.
source = { url = "weir-0.1.0.tar.gz" }

build = {
  type = "builtin",
  modules = {
    ["weir.core"] = {
      sources = {
        "c/bind/all.c",
        "c/bind/call.c",
        "c/bind/config.c",
        "c/bind/drive.c",
        "c/bind/fiber.c",
        "c/bind/held.c",
        "c/bind/host.c",
        "c/bind/interrupt.c",
        "c/bind/limiter.c",
        "c/bind/look.c",
        "c/bind/module.c",
        "c/bind/open.c",
        "c/bind/options.c",
        "c/bind/permit.c",
        "c/bind/refusal.c",
        "c/bind/report.c",
        "c/bind/request.c",
        "c/bind/runtime.c",
        "c/bind/source.c",
        "c/bind/space.c",
        "c/bind/status.c",
        "c/bind/task.c",
        "c/bind/wait.c",
        "c/core/acquire.c",
        "c/core/ask.c",
        "c/core/codel.c",
        "c/core/door.c",
        "c/core/group.c",
        "c/core/hash.c",
        "c/core/heap.c",
        "c/core/histogram.c",
        "c/core/http.c",
        "c/core/index.c",
        "c/core/instance.c",
        "c/core/journal.c",
        "c/core/keys.c",
        "c/core/limiter.c",
        "c/core/look.c",
        "c/core/memory.c",
        "c/core/option.c",
        "c/core/parse.c",
        "c/core/port.c",
        "c/core/queue.c",
        "c/core/rate.c",
        "c/core/share.c",
        "c/core/slab.c",
        "c/core/space.c",
        "c/core/swift.c",
        "c/core/text.c",
        "c/core/ticket.c",
        "c/core/together.c",
        "c/core/tuner.c",
        "c/core/walk.c",
        "c/event/lookup.c",
        "c/event/loop.c",
        "c/event/watch.c",
        "c/shared/bell.c",
        "c/shared/file.c",
        "c/shared/lock.c",
        "c/shared/look.c",
        "c/shared/member.c",
        "c/shared/place.c",
        "c/shared/seat.c",
        "c/shared/shared.c",
        "c/shared/tidy.c",
        "c/status/format.c",
        "c/status/json.c",
        "c/status/metrics.c",
        "c/status/page.c",
        "c/status/rank.c",
        "c/status/read.c",
        "c/status/status.c",
        "c/status/writer.c",
      },
      defines = { "_GNU_SOURCE", "_FILE_OFFSET_BITS=64" },
      incdirs = { "c/include", "c", "$(LIBEVENT_INCDIR)" },
      libdirs = { "$(LIBEVENT_LIBDIR)" },
      libraries = { "event_core", "event_extra" },
    },
    ["weir.cli.chart"] = "lua/weir/cli/chart.lua",
    ["weir.cli.main"] = "lua/weir/cli/main.lua",
    ["weir.cli.rm"] = "lua/weir/cli/rm.lua",
    ["weir.cli.run"] = "lua/weir/cli/run.lua",
    ["weir.cli.spaces"] = "lua/weir/cli/spaces.lua",
    ["weir"] = "lua/weir/init.lua",
    ["weir.map"] = "lua/weir/map.lua",
    ["weir.policy"] = "lua/weir/policy.lua",
    ["weir.request"] = "lua/weir/request.lua",
    ["weir.sandbox"] = "lua/weir/sandbox.lua",
    ["weir.stack"] = "lua/weir/stack.lua",
    ["weir.tcp"] = "lua/weir/tcp.lua",
  },
  install = { bin = { weir = "lua/bin/weir" } },
}
