// All of `block-drbd test`: what is gathered, what is made of it, and how it is told. The parts are
// /proc/drbd; what drbdsetup status, show, drbdadm sh-resources and dump print; the kernel's log;
// the configuration; a claim; xenstore; what was asked for; and, if they are there, a second claim,
// a window and /proc/locks.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "diagnose/gather.h"
#include "diagnose/json.h"
#include "diagnose/text.h"
#include "drbd/drbdsetup.h"
#include "drbd/text.h"
#include "fakes.h"
#include "records.h"
#include "targets.h"
#include "tools.h"

namespace block_drbd::fuzz {

namespace {

/// To a terminal.
bool is_harmless(std::string_view text) {
  return std::ranges::all_of(
      text, [](unsigned char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t'; });
}

}  // namespace

void feed_test(std::string_view text) {
  static const test::TempDir directory;
  static const Records records;
  // What the kernel and root wrote is as plain as they made it.
  bool is_plain = true;
  const auto take = [&] {
    const std::string_view part = take_part(text);
    is_plain = is_plain && is_harmless(part);
    return part;
  };
  Tools tools;
  const auto prints = [&](const char* command) {
    tools.answer(command, {.exit_code = 0, .out = std::string(take()), .err = {}});
  };
  const std::string proc = directory.write("drbd", take());
  prints("drbdsetup status");
  prints("drbdsetup show");
  prints("drbdadm sh-resources");
  prints("drbdadm dump");
  const std::string log = directory.write("log", take());
  const std::string config = directory.write("config", take());
  records.write("vbd-5-51712@r0.claim", take());
  test::FakeStore store;
  store.domains.insert(5);
  for (std::string_view nodes = take_part(text); !nodes.empty();) {
    const std::string_view line = drbd::take_line(nodes);
    const auto equals = std::min(line.find('='), line.size());
    store.values[std::string(line.substr(0, equals))] =
        line.substr(std::min(equals + 1, line.size()));
  }
  const auto target = diagnose::target_from(take_part(text));
  records.put("vbd-6-51712@r0.claim", take());
  records.put("r0.window", take());
  const std::string locks = directory.write("locks", records.by_inode(take()));

  const auto drbd = drbd::drbdsetup(tools, proc);
  test::FakeDevices devices;
  devices.processes[1] = {"qemu (pid 7)"};
  std::set<std::string> asked;
  if (target)
    asked.insert(target->spec.resource);
  const diagnose::Facts facts =
      diagnose::gather({.processes = tools,
                        .drbd = *drbd,
                        .devices = devices,
                        .connect = [&] { return std::make_unique<test::FakeStore>(store); },
                        .proc_drbd = proc,
                        .proc_locks = locks,
                        .kernel_log = log,
                        .records = records.path(),
                        .script = directory / "script",
                        .config = config,
                        .own_program = directory / "program"},
                       asked);
  const diagnose::Examination examination =
      diagnose::examine(facts, target ? std::vector{*target} : std::vector<diagnose::Target>());
  const std::string words = diagnose::in_words(facts, examination, {.every_verdict = true});
  demand(!is_plain || is_harmless(words), "nothing of a guest that a terminal obeys", words);
  demand(nlohmann::json::accept(diagnose::in_json(facts, examination)), "--json is JSON");
  const auto monitoring = diagnose::for_monitoring(facts, examination);
  demand(monitoring.exit_code >= 0 && monitoring.exit_code <= 3 &&
             std::ranges::count(monitoring.line, '\n') == 1,
         "a monitoring system gets one line", monitoring.line);
}

}  // namespace block_drbd::fuzz
