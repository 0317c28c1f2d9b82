// What comes from outside is not obeyed, believed or repeated as it is: names in xenstore, what
// tools say, files that somebody has put into our places, and the environment.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cases.h"
#include "catch.h"

using namespace block_drbd::faults;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

/// One message a line, and in it nothing that steers a terminal or begins another message.
void judge_text(const std::string& what, const std::string& text, Complaints& complaints) {
  if (text.empty())
    complaints.push_back(what + " has nothing");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("block-drbd: "))
      complaints.push_back(what + " has a line of somebody else's: " + line);
    for (const char c : line)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f) {
        complaints.push_back(what + " has a control character: " + line);
        break;
      }
  }
}

void judge_texts(Node& node, const Guest& guest, const Ended& ended, Complaints& complaints) {
  judge_text("stderr", ended.said, complaints);
  judge_text("hotplug-error", "block-drbd: " + node.value(guest, "hotplug-error"), complaints);
  if (const std::string log = node.log(); log.find("\\x") != std::string::npos)
    complaints.push_back("the log has a control character: " + log);
}

std::vector<Case> disk_lines() {
  std::vector<Case> cases;
  for (const std::string& disk : {"-f"s,
                                  "--force"s,
                                  "all"s,
                                  "all/0"s,
                                  "/dev/drbd0"s,
                                  "../../etc/passwd"s,
                                  "r0/../r1"s,
                                  "r0\nr1"s,
                                  "r0\n--force"s,
                                  "r0;reboot"s,
                                  "$(reboot)"s,
                                  "`reboot`"s,
                                  "r0 --force"s,
                                  "\x1b[2Jr0"s,
                                  "r0\xff\xfe"s,
                                  "r\xc3\xb6"s,
                                  "r0/-1"s,
                                  "r0/99999999999"s,
                                  "r0/0x0"s,
                                  "drbd:"s,
                                  "drbd:drbd:r0"s,
                                  "drbd:-f"s,
                                  "."s,
                                  ".."s,
                                  "r0/"s,
                                  "/r0"s,
                                  "r0@x"s,
                                  "r0\0r1"s,
                                  std::string(3000, 'r'),
                                  std::string(3000, '\n')})
    cases.push_back({"'" + disk.substr(0, 20) + "'", [disk](Node& node, Complaints& complaints) {
                       Guest guest = web;
                       guest.disk = disk;
                       node.create(guest);
                       const Ended ended = node.add(guest);
                       judge_add(node, guest, ended, {"is not a DRBD disk"}, complaints);
                       judge_texts(node, guest, ended, complaints);
                       if (!node.calls().empty())
                         complaints.push_back("a tool was run: " + node.calls());
                       all_is_well_again(node, guest, complaints);
                     }});
  return cases;
}

std::vector<Case> forgeries() {
  const std::string forged = "x\nblock-drbd: all is well\r\x1b[2J\x1b]0;title\x07\x7f";
  return {
      {"the guest's name",
       [=](Node& node, Complaints& complaints) {
         Guest guest = web;
         guest.name = forged;
         node.create(guest);
         node.faults("primary exit 77");
         const Ended ended = node.add(guest);
         judge_add(node, guest, ended, {"exit code 77"}, complaints);
         judge_texts(node, guest, ended, complaints);
         node.faults("");
         all_is_well_again(node, guest, complaints);
       }},
      {"the name of the guest that has it",
       [=](Node& node, Complaints& complaints) {
         Guest other = next;
         other.name = forged;
         other.vm = "another";
         node.create(other);
         judge_add(node, other, node.add(other), {}, complaints);
         node.create(web);
         const Ended ended = node.add(web);
         judge_texts(node, web, ended, complaints);
         expect_words(ended.said, {"is already in use on this node"}, complaints);
       }},
      {"a device that another script attached",
       [=](Node& node, Complaints& complaints) {
         node.create(web);
         node.xenstored().write(web.directory() + "/physical-device", forged);
         const Ended ended = node.add(web);
         judge_texts(node, web, ended, complaints);
       }},
      {"DRBD's refusal",
       [=](Node& node, Complaints& complaints) {
         node.create(web);
         node.faults(
             "primary says 0: State change failed: (-2) x\\nblock-drbd: all is well\\n\\033[2J");
         const Ended ended = node.add(web);
         judge_add(node, web, ended, {"(-2) x"}, complaints);
         judge_texts(node, web, ended, complaints);
       }},
      {"DRBD's state",
       [=](Node& node, Complaints& complaints) {
         node.create(web);
         node.faults("status garbage");
         const Ended ended = node.add(web);
         judge_add(node, web, ended, {"cannot be read"}, complaints);
         judge_texts(node, web, ended, complaints);
       }},
      {"XENBUS_PATH",
       [=](Node& node, Complaints& complaints) {
         const Ended ended =
             node.run({.words = {"add"}, .xenbus_path = forged, .prepare = [] {}, .output = {}});
         judge_text("stderr", ended.said, complaints);
         expect_words(ended.said, {"XENBUS_PATH is '"}, complaints);
       }},
      {"the command line",
       [=](Node& node, Complaints& complaints) {
         for (const Words& words :
              {Words{"keep", forged}, Words{forged}, Words{"--" + forged}, Words{"test", forged},
               Words{"test", "./" + forged}, Words{"test", "--json=" + forged}}) {
           const Ended ended =
               node.run({.words = words, .xenbus_path = "", .prepare = [] {}, .output = {}});
           // What is wrong is said in one line, before the usage.
           const std::string said = ended.said.substr(0, ended.said.find("Usage: "));
           judge_text("stderr", said, complaints);
           if (ended.code != 2 || std::count(said.begin(), said.end(), '\n') != 1)
             complaints.push_back("not one line, or no wrong usage: " + said);
         }
       }},
      {"what a tool says, told by test",
       [=](Node& node, Complaints& complaints) {
         node.faults("status garbage");
         const Ended ended = node.run({.words = {"test", "--verbose", "r0"},
                                       .xenbus_path = "",
                                       .prepare = [] {},
                                       .output = {}});
         expect_words(ended.said, {"$ drbdsetup status", "role:Primary"}, complaints);
         if (std::any_of(ended.said.begin(), ended.said.end(),
                         [](unsigned char c) { return c != '\n' && (c < 0x20 || c == 0x7f); }))
           complaints.push_back("test has a control character: " + ended.said);
       }},
  };
}

std::vector<Case> planted_files() {
  struct Planted {
    const char* name;
    std::function<void(Node&)> plant;
    Words words;
  };
  const auto elsewhere = [](const Node& node) { return fs::path(node.place() / "elsewhere"); };
  const auto link = [=](const std::string& name) {
    return [=](Node& node) {
      const fs::path path = node.run(name);
      fs::create_directories(path.parent_path());
      fs::permissions(path.parent_path(), fs::perms::owner_all);
      fs::create_symlink(elsewhere(node) / "file", path);
    };
  };
  const std::vector<Planted> all{
      {"/run/block-drbd is a link",
       [=](Node& node) { fs::create_symlink(elsewhere(node), node.run("block-drbd")); },
       {"/run/block-drbd"}},
      {"/run/block-drbd is a file",
       [](Node& node) { std::ofstream(node.run("block-drbd")) << "x"; },
       {"/run/block-drbd"}},
      {"/run/block-drbd is somebody else's",
       [](Node& node) {
         fs::create_directories(node.run("block-drbd"));
         if (::chown(node.run("block-drbd").c_str(), 65534, 65534) != 0)
           throw std::runtime_error("no root");
       },
       {"can be written by others"}},
      {"others may write to /run/block-drbd",
       [](Node& node) {
         fs::create_directories(node.run("block-drbd"));
         fs::permissions(node.run("block-drbd"), fs::perms::all);
       },
       {"can be written by others"}},
      {"the lock is a link", link("block-drbd/r0.lock"), {"r0.lock"}},
      {"the claim is a link", link("block-drbd/vbd-5-51712@r0.claim"), {"vbd-5-51712@r0.claim"}},
      {"the claim is a pipe",
       [](Node& node) {
         fs::create_directories(node.run("block-drbd"));
         fs::permissions(node.run("block-drbd"), fs::perms::owner_all);
         if (::mkfifo(node.run("block-drbd/vbd-5-51712@r0.claim").c_str(), 0600) != 0)
           throw std::runtime_error("no pipe to be had");
       },
       {"vbd-5-51712@r0.claim", "no regular file"}},
      {"Xen's lock is a link", link("xen-hotplug/block"), {"xen-hotplug/block"}},
  };
  std::vector<Case> cases;
  for (const Planted& each : all)
    cases.push_back({each.name, [=](Node& node, Complaints& complaints) {
                       fs::create_directories(elsewhere(node));
                       each.plant(node);
                       node.create(web);
                       judge_add(node, web, node.add(web), each.words, complaints);
                       if (!fs::is_empty(elsewhere(node)))
                         complaints.emplace_back("something was written through the link");
                       fs::remove_all(node.run("block-drbd"));
                       fs::remove_all(node.run("xen-hotplug"));
                       all_is_well_again(node, web, complaints);
                     }});
  return cases;
}

std::vector<Case> environments() {
  return {{"whatever the toolstack's is", [](Node& node, Complaints& complaints) {
             Guest arriving = web;
             arriving.name = "web--incoming";
             node.change_drbd([](DrbdState& state) { state.peer_is_primary = true; });
             node.receives_migration(true);
             node.create(arriving);
             const Ended ended =
                 node.run({.words = {"add"},
                           .xenbus_path = arriving.backend(),
                           .prepare =
                               [] {
                                 for (const char* name :
                                      {"PATH", "LD_LIBRARY_PATH", "LD_AUDIT", "IFS", "ENV",
                                       "BASH_ENV", "LC_ALL", "DRBD_CONFIG",
                                       "DRBD_DONT_WARN_ON_VERSION", "GCONV_PATH", "TMPDIR"})
                                   ::setenv(name, "/evil", 1);
                               },
                           .output = {}});
             judge_add(node, arriving, ended, {}, complaints);
             const std::string expected =
                 "  PATH=/usr/sbin:/usr/bin:/sbin:/bin\n  LC_ALL=C\n  HOME=/\n  TERM=dumb\n";
             std::istringstream lines(node.calls());
             std::string environment;
             unsigned tools = 0;
             const auto judge = [&] {
               if (tools > 0 && environment != expected)
                 complaints.push_back("a tool's environment is\n" + environment);
               environment.clear();
             };
             for (std::string line; std::getline(lines, line);) {
               if (!line.starts_with(' ')) {
                 judge();
                 ++tools;
               } else {
                 environment += line + '\n';
               }
             }
             judge();
             if (node.calls().find("events2") == std::string::npos)
               complaints.push_back("no keeper's tool was run: " + node.calls());
           }}};
}

}  // namespace

TEST_CASE("what comes from outside", "[input]") {
  play_all({
      {"no disk line becomes an option, a path or another command", disk_lines()},
      {"no name and no tool's answer can forge a message", forgeries()},
      {"nothing is written through what somebody else has put into our places", planted_files()},
      {"tools and the keeper have an environment of our own", environments()},
  });
}
