// Measures block-drbd beside the shell original and beside the fewest possible steps, in turn.
// Called by `run`, which says what is what.
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "node.h"

using namespace block_drbd::bench;
using Json = nlohmann::ordered_json;

namespace {

const std::string ours = BLOCK_DRBD_PROGRAM;
const std::string fewest_steps = FLOOR;

/// How much is measured.
struct Extent {
  int runs;                    ///< of add and remove
  int grown_runs;              ///< of each size
  std::vector<int> backends;   ///< of other guests
  std::vector<int> resources;  ///< configured and up
  std::vector<int> storms;     ///< adds at once
  int most_for_original;       ///< backends, beyond which it is measured once
  int tested;                  ///< resources, by `block-drbd test`
};

const Extent whole{.runs = 51,
                   .grown_runs = 11,
                   .backends = {1, 10, 100, 1000, 5000},
                   .resources = {1, 100, 1000, 2000},
                   .storms = {64, 256},
                   .most_for_original = 100,
                   .tested = 500};
/// Only whether it can be measured.
const Extent brief{.runs = 2,
                   .grown_runs = 1,
                   .backends = {1, 20},
                   .resources = {1, 20},
                   .storms = {4},
                   .most_for_original = 20,
                   .tested = 20};

/// It ends a block script that takes longer.
constexpr std::chrono::seconds patience_of_libxl{40};

double rounded(double value) {
  return std::round(value * 100) / 100;
}

/// Costs of one kind of run.
struct Costs {
  std::vector<double> wall;
  std::vector<double> cpu;

  void take(const Cost& cost) {
    wall.push_back(cost.wall);
    cpu.push_back(cost.cpu);
  }
  Json in_json() const {
    return {{"wall_ms", rounded(median(wall))}, {"cpu_ms", rounded(median(cpu))}};
  }
};

/// One program that does add and remove, and what it took.
struct Contender {
  std::string name;
  std::string program;
  Costs add{};
  Costs remove{};
  std::vector<double> add_of_xenstored{};  ///< processor time of xenstored meanwhile
};

/// A guest comes and goes.
void come_and_go(Node& node, Contender& contender, int guest = 0) {
  node.create(guest);
  const double before = node.used_by_xenstored();
  contender.add.take(measure(node.block_script(contender.program, "add", guest)));
  contender.add_of_xenstored.push_back(node.used_by_xenstored() - before);
  node.demand_attached(guest);
  node.begin_end(guest);
  contender.remove.take(measure(node.block_script(contender.program, "remove", guest)));
  node.demand_released(guest);
  node.forget(guest);
}

Json add_and_remove(Node& node, const std::string& original, const Extent& extent) {
  node.set_resources(1);
  node.set_other_guests(1);
  std::vector<Contender> contenders{{.name = "ours", .program = ours},
                                    {.name = "original", .program = original},
                                    {.name = "fewest_steps", .program = fewest_steps}};
  // Whoever comes first finds another machine than whoever comes last: each is so in its turn.
  for (int run = 0; run < extent.runs; ++run)
    for (std::size_t turn = 0; turn < contenders.size(); ++turn)
      come_and_go(node, contenders[(static_cast<std::size_t>(run) + turn) % contenders.size()]);

  Costs tool;
  for (int run = 0; run < extent.runs; ++run)
    tool.take(measure(node.command({"/usr/sbin/drbdsetup", "status", "r0", "--verbose"})));
  Json figures{{"drbd_stand_in", tool.in_json()}};
  for (Contender& each : contenders) {
    node.create(0);
    const Trace add = trace(node.block_script(each.program, "add", 0));
    node.begin_end(0);
    const Trace remove = trace(node.block_script(each.program, "remove", 0));
    node.forget(0);
    for (const auto& [verb, costs, seen] :
         {std::tuple("add", each.add, add), std::tuple("remove", each.remove, remove)}) {
      Json& figure = figures[verb][each.name] = costs.in_json();
      figure["executions"] = seen.executions;
      figure["of_drbd"] = seen.of_drbd;
      figure["peak_of_memory_kib"] = seen.peak_of_memory;
    }
  }
  return figures;
}

/// Of add and remove, while something else grows.
Json growth(Node& node, const std::string& original, const Extent& extent,
            const std::vector<int>& sizes, const std::function<void(int)>& grow) {
  Json figures;
  for (const int size : sizes) {
    grow(size);
    Contender contenders[] = {{.name = "ours", .program = ours},
                              {.name = "original", .program = original}};
    auto& [own, other] = contenders;
    for (int run = 0; run < extent.grown_runs; ++run) {
      const bool both = run == 0 || size <= extent.most_for_original;
      const bool other_first = run % 2 == 1;
      if (both && other_first)
        come_and_go(node, other);
      come_and_go(node, own);
      if (both && !other_first)
        come_and_go(node, other);
    }
    Json figure{{"size", size}};
    for (const Contender& each : contenders)
      figure[each.name] = {{"add", each.add.in_json()},
                           {"add_of_xenstored_ms", rounded(median(each.add_of_xenstored))},
                           {"remove", each.remove.in_json()}};
    figures.push_back(figure);
  }
  return figures;
}

/// All guests of a host start at once.
Json storm(Node& node, const std::string& program, int guests) {
  std::vector<Command> adds;
  for (int guest = 0; guest < guests; ++guest) {
    node.create(guest);
    adds.push_back(node.block_script(program, "add", guest));
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto costs = measure_together(adds, patience_of_libxl);
  const double wall =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  const auto failed = std::ranges::count(costs, true, &Cost::failed);
  if (failed > 0 && program == ours)
    std::cerr << what_was_said();
  double cpu = 0;
  for (int guest = 0; guest < guests; ++guest) {
    const Cost& cost = costs[static_cast<std::size_t>(guest)];
    cpu += cost.cpu;
    if (!cost.failed)
      node.demand_attached(guest);
    node.begin_end(guest);
    if (!cost.failed) {
      measure(node.block_script(ours, "remove", guest));
      node.demand_released(guest);
    }
    node.forget(guest);
  }
  return {{"wall_ms", rounded(wall)},
          {"slowest_ms", rounded(std::ranges::max(costs, {}, &Cost::wall).wall)},
          {"cpu_ms", rounded(cpu)},
          {"attached", guests - failed}};
}

Json whole_node_test(Node& node, const Extent& extent) {
  node.set_resources(extent.tested);
  Costs costs;
  // It finds that it is not installed here, and says so with its exit code.
  for (int run = 0; run < extent.grown_runs; ++run)
    costs.take(measure(node.command({"/bin/sh", "-c", ours + " test || test $? = 1"})));
  Json figures = costs.in_json();
  figures["resources"] = extent.tested;
  return figures;
}

Json start(Node& node, const Extent& extent) {
  Costs costs;
  for (int run = 0; run < extent.runs; ++run)
    costs.take(measure(node.command({ours, "--version"})));
  Json figures = costs.in_json();
  figures["size_of_program_kib"] = std::filesystem::file_size(ours) / 1024;
  return figures;
}

std::string first_value(const std::string& file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(key))
      return line.substr(line.find_first_not_of(" \t:=\"", key.size()));
  return {};
}

Json machine(Node& node) {
  utsname system{};
  ::uname(&system);
  std::string release = first_value("/etc/os-release", "PRETTY_NAME");
  if (release.ends_with('"'))
    release.pop_back();
  char date[16];
  const std::time_t now = std::time(nullptr);
  static_cast<void>(std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now)));
  measure(node.command({ours, "--version"}));
  std::string program = what_was_said();
  program.erase(program.find_last_not_of('\n') + 1);
  return {{"program", program},
          {"date", date},
          {"processor", first_value("/proc/cpuinfo", "model name")},
          {"processors", std::thread::hardware_concurrency()},
          {"system", release},
          {"kernel", system.release}};
}

// -- for people --

void print_add_and_remove(const Json& figures) {
  const Json& tool = figures["drbd_stand_in"];
  for (const char* verb : {"add", "remove"}) {
    const Json& each = figures[verb];
    std::printf("\n%-24s %12s %12s %12s %8s %8s\n", verb, "block-drbd", "original", "fewest steps",
                "ratio", "floor");
    const auto costs = [&](const std::string& key, const char* title) {
      const double own = each["ours"][key];
      const double other = each["original"][key];
      const double least = each["fewest_steps"][key];
      const double of_tool = tool[key];
      const double own_alone = own - each["ours"]["of_drbd"].get<double>() * of_tool;
      const double other_alone = other - each["original"]["of_drbd"].get<double>() * of_tool;
      std::printf("  %-22s %12.2f %12.2f %12.2f %8.1f %8.2f\n", title, own, other, least,
                  other / own, own / least);
      std::printf("  %-22s %12.2f %12.2f %12s %8.1f\n", "  without DRBD's tools", own_alone,
                  other_alone, "", other_alone / own_alone);
    };
    costs("wall_ms", "time, ms");
    costs("cpu_ms", "processor time, ms");
    const auto numbers = [&](const char* key, const char* title) {
      std::printf("  %-22s %12d %12d %12d\n", title, each["ours"][key].get<int>(),
                  each["original"][key].get<int>(), each["fewest_steps"][key].get<int>());
    };
    numbers("executions", "executions");
    numbers("of_drbd", "  of DRBD's tools");
    numbers("peak_of_memory_kib", "peak of memory, KiB");
  }
}

void print_growth(const char* title, const Json& figures) {
  std::printf("\nbeside %-17s %12s %12s %12s %8s\n", title, "block-drbd", "of xenstored",
              "original", "ratio");
  for (const Json& each : figures)
    for (const char* verb : {"add", "remove"}) {
      const double own = each["ours"][verb]["wall_ms"];
      const double other = each["original"][verb]["wall_ms"];
      const bool is_add = verb == std::string_view("add");
      const std::string of_xenstored =
          is_add ? each["ours"]["add_of_xenstored_ms"].dump() : std::string();
      std::printf("  %-6s %-15s %12.2f %12s %12.2f %8.1f\n", verb,
                  is_add ? each["size"].dump().c_str() : "", own, of_xenstored.c_str(), other,
                  other / own);
    }
}

void print_machine(const Json& machine) {
  std::printf(
      "%s\n%s: %s, %d processors (%s), Linux %s\n", machine["program"].get<std::string>().c_str(),
      machine["date"].get<std::string>().c_str(), machine["system"].get<std::string>().c_str(),
      machine["processors"].get<int>(), machine["processor"].get<std::string>().c_str(),
      machine["kernel"].get<std::string>().c_str());
}

void print_storm(const Json& figures) {
  std::printf("\n%-4d adds at once %7s %12s %12s %12s %9s %8s\n", figures["guests"].get<int>(), "",
              "all, ms", "slowest, ms", "cpu, ms", "attached", "per s");
  for (const auto& [key, name] :
       {std::pair("ours", "block-drbd"), std::pair("original", "original")}) {
    const Json& storm = figures[key];
    std::printf("  %-22s %12.0f %12.0f %12.0f %9d %8.2f\n", name, storm["wall_ms"].get<double>(),
                storm["slowest_ms"].get<double>(), storm["cpu_ms"].get<double>(),
                storm["attached"].get<int>(),
                storm["attached"].get<double>() * 1000 / storm["wall_ms"].get<double>());
  }
}

void print_test(const Json& test) {
  std::printf("test of %d resources: %.1f ms, processor time %.1f ms\n",
              test["resources"].get<int>(), test["wall_ms"].get<double>(),
              test["cpu_ms"].get<double>());
}

void print_start(const Json& start) {
  std::printf("\nstart (--version): %.2f ms, processor time %.2f ms; program of %d KiB\n",
              start["wall_ms"].get<double>(), start["cpu_ms"].get<double>(),
              start["size_of_program_kib"].get<int>());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto asked = [&](const char* option) { return std::ranges::count(words, option) > 0; };
  if (words.empty())
    give_up("called by `run`, with the path of the shell original");
  const std::string& original = words.front();
  const Extent& extent = asked("--brief") ? brief : whole;

  const bool in_json = asked("--json");

  Node node(DRBD_STAND_IN);
  Json figures;
  // Each part is told as soon as it is there.
  const auto add = [&](const char* name, Json measured,
                       const std::function<void(const Json&)>& print) {
    if (!in_json) {
      print(measured);
      static_cast<void>(std::fflush(stdout));
    }
    figures[name] = std::move(measured);
  };
  add("machine", machine(node), print_machine);
  add("add_and_remove", add_and_remove(node, original, extent), print_add_and_remove);
  add("backends",
      growth(node, original, extent, extent.backends,
             [&](int size) { node.set_other_guests(size); }),
      [](const Json& measured) { print_growth("backends", measured); });
  node.set_other_guests(1);
  add("resources",
      growth(node, original, extent, extent.resources, [&](int size) { node.set_resources(size); }),
      [](const Json& measured) { print_growth("resources", measured); });
  add("start", start(node, extent), print_start);
  add("test", whole_node_test(node, extent), print_test);
  bool all_attached = true;
  Json storms;
  for (const int guests : extent.storms) {
    node.set_resources(guests);
    Json both{{"guests", guests}};
    both["ours"] = storm(node, ours, guests);
    both["original"] = storm(node, original, guests);
    if (!in_json)
      print_storm(both);
    storms.push_back(both);
    all_attached = all_attached && both["ours"]["attached"] == guests;
  }
  figures["storms"] = storms;
  if (in_json)
    std::cout << figures.dump(2) << '\n';
  return all_attached ? 0 : 1;
}
