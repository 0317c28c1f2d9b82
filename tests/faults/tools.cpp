// DRBD's tools misbehave: they hang, crawl, die, lie and babble (drbd_tool.cpp).
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cases.h"
#include "catch.h"

using namespace block_drbd::faults;

namespace {

/// A fault, and what is said of it; nothing: it does no harm.
struct Fault {
  std::string lines;
  Words words;
};

std::vector<Case> cases_of(const std::vector<Fault>& faults,
                           void (*play)(Node&, const Fault&, Complaints&)) {
  std::vector<Case> cases;
  for (const Fault& fault : faults)
    cases.push_back({fault.lines, [fault, play](Node& node, Complaints& complaints) {
                       play(node, fault, complaints);
                     }});
  return cases;
}

void add_with(Node& node, const Fault& fault, Complaints& complaints) {
  node.create(web);
  node.faults(fault.lines);
  judge_add(node, web, node.add(web), fault.words, complaints);
  node.faults("");
  all_is_well_again(node, web, complaints);
}

void remove_with(Node& node, const Fault& fault, Complaints& complaints) {
  node.create(web);
  judge_add(node, web, node.add(web), {}, complaints);
  node.faults(fault.lines);
  node.close(web);
  judge_remove(node, node.remove(web), fault.words, complaints);
  node.faults("");
  all_is_well_again(node, web, complaints);
}

/// A guest that arrives by migration. Where it is taken over, it arrives, and the keeper does its
/// work in spite of the fault.
void hand_over_with(Node& node, const Fault& fault, Complaints& complaints) {
  Guest arriving = web;
  arriving.name = "web--incoming";
  node.change_drbd([](DrbdState& state) { state.peer_is_primary = true; });
  node.receives_migration(true);
  node.create(arriving);
  node.faults(fault.lines);
  const Ended added = node.add(arriving);
  judge_add(node, arriving, added, fault.words, complaints);
  node.receives_migration(false);
  if (added.code == 0)
    node.rename(arriving, "web");
  else
    node.faults("");
  node.change_drbd([](DrbdState& state) { state.peer_is_primary = false; });
  if (added.code == 0 && !block_drbd::test::eventually([&] { return !node.drbd().two_primaries; }))
    complaints.push_back("the window stays open");
  node.faults("");
  all_is_well_again(node, arriving, complaints);
}

std::vector<Case> while_a_guest_starts() {
  return cases_of(
      {
          {"status hang", {"no answer within"}},
          {"status crawl", {"no answer within"}},
          {"status dies 9", {"cannot be read"}},
          {"status dies 11", {"cannot be read"}},
          {"status exit 0", {"cannot be read", "does not tell of it"}},
          {"status exit 77", {"cannot be read"}},
          {"status garbage", {"cannot be read"}},
          {"status half", {"cannot be read", "printed what this program does not understand"}},
          {"status flood", {"printed more than any answer of DRBD is long"}},
          {"status newer", {}},
          {"status other", {"not connected to the other node"}},
          {"show newer", {}},
          {"primary hang", {"cannot become Primary"}},
          {"primary silent", {"cannot become Primary"}},
          {"primary late 31000", {"cannot become Primary"}},
          {"primary late 36000", {"cannot become Primary", "or become so"}},
          {"primary crawl", {}},
          {"primary dies 9", {"cannot become Primary", "exit code 137"}},
          {"primary exit 77", {"exit code 77"}},
          {"primary exit 0", {"is not Primary on this node, though DRBD has just said"}},
          {"primary garbage", {"is not Primary on this node, though DRBD has just said"}},
          {"primary flood", {"printed more than any answer of DRBD is long"}},
          {"primary says 0: State change failed: (-2) Need access\\n\\033[2JblockX: all is well",
           {"good data", "(-2) Need access"}},
      },
      add_with);
}

std::vector<Case> while_a_guest_ends() {
  return cases_of(
      {
          {"status hang", {"no answer within"}},
          {"status garbage", {"may still be Primary", "does not understand"}},
          {"status half", {"may still be Primary", "does not understand"}},
          {"status exit 0", {"may still be Primary", "does not tell of it"}},
          {"status exit 77", {"may still be Primary", "exit code 77"}},
          {"secondary hang", {"no answer within"}},
          {"secondary silent", {}},
          {"secondary crawl", {}},
          {"secondary late 36000", {"no answer within"}},
          {"secondary dies 9", {"is still Primary on this node", "exit code 137"}},
          {"secondary exit 77", {"is still Primary on this node", "exit code 77"}},
          {"secondary exit 0", {"is still Primary on this node", "shows it as Primary"}},
          {"secondary garbage", {"is still Primary on this node", "shows it as Primary"}},
          {"secondary flood", {"is still Primary on this node", "printed more than"}},
      },
      remove_with);
}

std::vector<Case> while_a_guest_arrives() {
  return cases_of(
      {
          {"show hang", {"no answer within", "The guest goes on at its source"}},
          {"show garbage", {"does not understand", "The guest goes on at its source"}},
          {"show half", {"breaks off in the middle", "The guest goes on at its source"}},
          {"show exit 77", {"exit code 77", "The guest goes on at its source"}},
          {"show newer", {}},
          {"net-options hang", {"no answer within", "The guest goes on at its source"}},
          {"net-options silent", {"no answer within", "The guest goes on at its source"}},
          {"net-options dies 9", {"exit code 137", "The guest goes on at its source"}},
          {"net-options exit 77", {"exit code 77", "The guest goes on at its source"}},
          {"net-options exit 0", {"something forbade it again", "The guest goes on at its source"}},
          {"events2 hang", {}},
          {"events2 garbage", {}},
          {"events2 dies 9", {}},
          {"events2 exit 77", {}},
          {"events2 flood", {}},
          {"primary dies 9", {"exit code 137", "The guest goes on at its source"}},
      },
      hand_over_with);
}

std::vector<Case> while_telling_why() {
  std::vector<Case> cases;
  for (const Fault& fault : std::vector<Fault>{{"sh-resource hang", {"no answer within"}},
                                               {"sh-resource garbage", {"drbdadm up r0"}},
                                               {"sh-resource dies 9", {"drbdadm up r0"}},
                                               {"sh-resource exit 77", {"drbdadm up r0"}}})
    cases.push_back({fault.lines, [fault](Node& node, Complaints& complaints) {
                       node.change_drbd([](DrbdState& state) { state.is_up = false; });
                       node.create(web);
                       node.faults(fault.lines);
                       judge_add(node, web, node.add(web), fault.words, complaints);
                       node.faults("");
                       node.change_drbd([](DrbdState& state) { state.is_up = true; });
                       all_is_well_again(node, web, complaints);
                     }});
  return cases;
}

std::vector<Case> missing() {
  namespace fs = std::filesystem;
  struct Missing {
    const char* name;
    void (*spoil)(const std::string& tool);
    Words words;
  };
  const std::vector<Missing> all{
      {"missing",
       [](const std::string& tool) { fs::remove(tool); },
       {"drbdsetup", "not installed"}},
      {"not executable",
       [](const std::string& tool) { ::chmod(tool.c_str(), 0644); },
       {"drbdsetup", "cannot be executed"}},
      {"a directory",
       [](const std::string& tool) {
         fs::remove(tool);
         fs::create_directory(tool);
       },
       {"drbdsetup"}},
      {"no program",
       [](const std::string& tool) {
         std::ofstream(tool) << "\x7f"
                                "ELF, but not really";
       },
       {"drbdsetup"}},
      {"a script without an interpreter",
       [](const std::string& tool) { std::ofstream(tool) << "#!/of/nowhere\n"; },
       {"drbdsetup"}},
  };
  std::vector<Case> cases;
  for (const Missing& each : all) {
    cases.push_back({std::string("add, ") + each.name, [each](Node& node, Complaints& complaints) {
                       node.create(web);
                       const std::string tool = node.tool("drbdsetup");
                       fs::copy_file(tool, tool + ".kept");
                       each.spoil(tool);
                       judge_add(node, web, node.add(web), each.words, complaints);
                       fs::remove(tool);
                       fs::rename(tool + ".kept", tool);
                       all_is_well_again(node, web, complaints);
                     }});
    cases.push_back(
        {std::string("remove, ") + each.name, [each](Node& node, Complaints& complaints) {
           node.create(web);
           judge_add(node, web, node.add(web), {}, complaints);
           const std::string tool = node.tool("drbdsetup");
           fs::copy_file(tool, tool + ".kept");
           each.spoil(tool);
           node.close(web);
           judge_remove(node, node.remove(web), each.words, complaints);
           fs::remove(tool);
           fs::rename(tool + ".kept", tool);
           all_is_well_again(node, web, complaints);
         }});
  }
  return cases;
}

}  // namespace

TEST_CASE("DRBD's tools misbehave", "[tools]") {
  play_all({
      {"a tool misbehaves while a guest starts", while_a_guest_starts()},
      {"a tool misbehaves while a guest ends", while_a_guest_ends()},
      {"a tool misbehaves while a guest arrives", while_a_guest_arrives()},
      {"a tool misbehaves that tells why a resource is not up", while_telling_why()},
      {"drbdsetup is missing or no program", missing()},
  });
}
