// All of `block-drbd test`: what is gathered, what is made of it, and how it is told. The parts are
// /proc/drbd; what drbdsetup status, show, drbdadm sh-resources and dump print; the kernel's log;
// the configuration; a claim; xenstore; and what was asked for.
#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "diagnose/gather.h"
#include "diagnose/json.h"
#include "diagnose/text.h"
#include "drbd/drbdsetup.h"
#include "drbd/text.h"
#include "fakes.h"
#include "targets.h"
#include "temp_dir.h"
#include "tools.h"

namespace block_drbd::fuzz {

void feed_test(std::string_view text) {
  static const test::TempDir directory;
  const std::string_view whole = text;
  Tools tools;
  const auto prints = [&](const char* command) {
    tools.answer(command, {.exit_code = 0, .out = std::string(take_part(text)), .err = {}});
  };
  const std::string proc = directory.write("drbd", take_part(text));
  prints("drbdsetup status");
  prints("drbdsetup show");
  prints("drbdadm sh-resources");
  prints("drbdadm dump");
  const std::string log = directory.write("log", take_part(text));
  const std::string config = directory.write("config", take_part(text));
  directory.write("records/a.claim", take_part(text));
  // What the kernel and root wrote is as plain as they made it.
  const bool is_plain =
      std::ranges::none_of(whole.substr(0, whole.size() - text.size()),
                           [](char c) { return std::iscntrl(c) != 0 && c != '\n' && c != '\t'; });
  test::FakeStore store;
  store.domains.insert(5);
  for (std::string_view nodes = take_part(text); !nodes.empty();) {
    const std::string_view line = drbd::take_line(nodes);
    const auto equals = std::min(line.find('='), line.size());
    store.values[std::string(line.substr(0, equals))] =
        line.substr(std::min(equals + 1, line.size()));
  }
  const auto target = diagnose::target_from(text);

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
                        .proc_locks = directory / "locks",
                        .kernel_log = log,
                        .records = directory / "records",
                        .script = directory / "script",
                        .config = config,
                        .own_program = directory / "program"},
                       asked);
  const diagnose::Examination examination =
      diagnose::examine(facts, target ? std::vector{*target} : std::vector<diagnose::Target>());
  const std::string words = diagnose::in_words(facts, examination, {.every_verdict = true});
  demand(!is_plain || words.find_first_of("\r\x1b\x07\x08") == std::string::npos,
         "nothing of a guest that a terminal obeys", words);
  demand(nlohmann::json::accept(diagnose::in_json(facts, examination)), "--json is JSON");
  const auto monitoring = diagnose::for_monitoring(facts, examination);
  demand(monitoring.exit_code >= 0 && monitoring.exit_code <= 3 &&
             std::ranges::count(monitoring.line, '\n') == 1,
         "a monitoring system gets one line", monitoring.line);
}

}  // namespace block_drbd::fuzz
