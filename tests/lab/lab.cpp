#include "lab.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <thread>

namespace block_drbd::lab {
namespace {

// Where this build has put things; the environment may say otherwise.
std::string setting(const char* name, const char* built_in) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : built_in;
}

// The lab of this process until its end: the one in LAB_BUILD, or the first of two that nobody has,
// so that two scenarios can run at once.
const std::filesystem::path& build() {
  static const std::filesystem::path build = [] {
    if (const char* wanted = std::getenv("LAB_BUILD"); wanted != nullptr)
      return std::filesystem::path(wanted);
    for (;; std::this_thread::sleep_for(500ms))
      for (const std::filesystem::path place :
           {BLOCK_DRBD_LAB_BUILD, BLOCK_DRBD_SECOND_LAB_BUILD}) {
        static Fd lock;
        std::filesystem::create_directories(place);
        lock = Fd(::open((place / "scenario.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0)
          return place;
      }
  }();
  return build;
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text)
    result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

// Runs one of the lab's scripts on this host.
Typed script(const std::string& command,
             const std::string& program = setting("LAB_PROGRAM", BLOCK_DRBD_PROGRAM)) {
  const std::string line =
      "LAB_BUILD=" + quoted(build()) +
      " LAB_PROGRAMS=" + quoted(setting("LAB_PROGRAMS", BLOCK_DRBD_LAB_PROGRAMS)) +
      " LAB_PROGRAM=" + quoted(program) + " " + quoted(BLOCK_DRBD_LAB_SOURCE) + "/" + command +
      " 2>&1";
  Typed result;
  FILE* pipe = ::popen(line.c_str(), "re");
  if (pipe == nullptr)
    return {127, "popen"};
  std::array<char, 4096> buffer;
  std::size_t got = 0;
  while ((got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0)
    result.output.append(buffer.data(), got);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

void must(const Typed& result, const std::string& command) {
  INFO(result.output);
  INFO("the lab's script " << command);
  REQUIRE(result.status == 0);
}

void must_run(const std::string& command) {
  must(script(command), command);
}

std::string without_end_of_line(std::string text) {
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text;
}

std::string migration(const std::string& guest, const Node& to, bool live) {
  const std::string helper = live ? "" : "LIBXL_SAVE_HELPER=/lab/save-nonlive ";
  return helper + "xl migrate -s '' " + guest + " 'socat -b 262144 - TCP:" + to.name() + ":4444'";
}

/// A migration is mostly a copy of memory: minutes, beside other labs and compilers.
constexpr std::chrono::seconds limit_of_migration = 240s;

}  // namespace

bool eventually(const std::function<bool()>& so, std::chrono::seconds limit) {
  const auto begin = std::chrono::steady_clock::now();
  const auto deadline = begin + limit;
  while (!so()) {
    const auto now = std::chrono::steady_clock::now();
    if (now > deadline)
      return false;
    // Each look costs a node time that it needs for what is looked for.
    std::this_thread::sleep_for(std::clamp<std::chrono::nanoseconds>((now - begin) / 4, 200ms, 2s));
  }
  return true;
}

int count_lines(const std::string& text, const std::string& words) {
  std::istringstream lines(text);
  int count = 0;
  for (std::string line; std::getline(lines, line);)
    count += line.find(words) != std::string::npos ? 1 : 0;
  return count;
}

std::string flat(const std::string& output) {
  std::istringstream words(output);
  std::string line;
  for (std::string word; words >> word;)
    line += word + ' ';
  return line;
}

// ---- Task ----

bool Task::runs() {
  return node_.tries("cd /run/task/" + name_ + " && test ! -e status && kill -0 -- -$(cat pid)")
             .status == 0;
}

Typed Task::ends() {
  INFO("waiting on " << node_.name() << " for the end of task " << name_);
  REQUIRE(eventually([&] { return !runs(); }, limit_of_migration));
  const std::string directory = "/run/task/" + name_;
  return {std::stoi(node_.types("cat " + directory + "/status")),
          node_.types("cat " + directory + "/output")};
}

void Task::killed() {
  node_.types("kill -KILL -- -$(cat /run/task/" + name_ + "/pid)");
}

// ---- Node ----

Result<Reply> Node::run(const std::string& script, std::chrono::seconds limit) {
  if (!channel_) {
    Result<Channel> channel = Channel::open(build(), number_);
    if (!channel)
      return failure(channel.error());
    channel_.emplace(std::move(*channel));
  }
  Result<Reply> reply = channel_->run(script, limit);
  if (!reply)
    channel_.reset();
  return reply;
}

Typed Node::tries(const std::string& command, std::chrono::seconds limit) {
  Result<Reply> reply = run(command, limit);
  if (!reply) {
    UNSCOPED_INFO(name() << "# " << command);
    FAIL(name() << ": " << reply.error().message);
  }
  // Not the command's own answer: the agent took us for gone.
  constexpr int hung_up = 129;
  INFO(name() << "# " << command);
  REQUIRE(reply->status != hung_up);
  return {reply->status, std::move(reply->output)};
}

std::string Node::types(const std::string& command, std::chrono::seconds limit) {
  Typed result = tries(command, limit);
  INFO(result.output);
  INFO(name() << "# " << command);
  REQUIRE(result.status == 0);
  return std::move(result.output);
}

std::string Node::fails(const std::string& command, std::chrono::seconds limit) {
  constexpr int killed_by_limit = 124;
  Typed result = tries(command, limit);
  INFO(result.output);
  INFO(name() << "# " << command);
  REQUIRE(result.status != 0);
  REQUIRE(result.status != killed_by_limit);
  return std::move(result.output);
}

Task Node::starts(const std::string& command) {
  const std::string task = std::to_string(++tasks_);
  types("/lab/start " + task + " " + quoted(command));
  return {*this, task};
}

Typed Node::migrates(const std::string& guest, const Node& to, bool live) {
  return tries(migration(guest, to, live), limit_of_migration);
}

Task Node::starts_migration(const std::string& guest, const Node& to, bool live) {
  return starts(migration(guest, to, live));
}

std::string Node::role(const std::string& resource) {
  // Not with drbdadm, which a scenario may have broken.
  const Typed status =
      tries("drbdsetup status --verbose " + resource +
            " 2>/dev/null | sed -n 's/^ *volume:[0-9]* minor:\\([0-9]*\\) .*/\\1/p' |"
            " while read -r minor; do drbdsetup role $minor; done");
  // One line for each volume: "Primary/Secondary", here first. They must agree.
  std::istringstream lines(status.output);
  std::string role;
  for (std::string line; std::getline(lines, line);) {
    const std::string own = line.substr(0, line.find('/'));
    if (!role.empty() && own != role)
      return "mixed";
    role = own;
  }
  return role;
}

void Node::becomes(const std::string& resource, const std::string& role) {
  std::string seen;
  eventually([&] { return (seen = this->role(resource)) == role; });
  INFO(resource << " on " << name());
  REQUIRE(seen == role);
}

bool Node::has_guest(const std::string& guest) {
  return tries("xl domid " + guest + " 2>/dev/null").status == 0;
}

std::string Node::connection(const std::string& resource) {
  const Typed status = tries("drbdsetup status --verbose " + resource + " 2>/dev/null");
  const std::string key = " connection:";
  const auto begin = status.output.find(key);
  if (begin == std::string::npos)  // 8.4 does not show a peer to which it has given up
    return status.output.empty() ? "" : "StandAlone";
  const auto word = begin + key.size();
  return status.output.substr(word, status.output.find(' ', word) - word);
}

std::string Node::two_primaries(const std::string& resource) {
  return without_end_of_line(types("/lab/two-primaries " + resource));
}

bool Node::has_window(const std::string& resource) {
  return tries("test -s /run/block-drbd/" + resource + ".window").status == 0;
}

void Node::waits_until_up_to_date(const std::string& resource) {
  std::string status;
  REQUIRE(eventually([&] {
    status = types("drbdsetup status --verbose " + resource);
    return count_lines(status, "peer connection:Connected") == 1 &&
           count_lines(status, " replication:Established peer-disk:UpToDate") ==
               count_lines(status, " disk:UpToDate") &&
           count_lines(status, " disk:UpToDate") > 0;
  }));
}

std::string Node::console(const std::string& guest) {
  // Under the name it had while it came in, first.
  return tries("cd /var/log/xen/console && cat guest-" + guest + "--incoming.log guest-" + guest +
               ".log 2>/dev/null | tr -d '\\r'")
      .output;
}

long Node::last_record(const std::string& guest) {
  std::istringstream lines(console(guest));
  long last = 0;
  for (std::string line; std::getline(lines, line);) {
    long number = 0;
    std::array<char, 3> ok{};
    if (std::sscanf(line.c_str(), "record %ld %2s", &number, ok.data()) == 2 && ok[0] == 'o')
      last = std::max(last, number);
    INFO("the console of " << guest << " on " << name() << ": " << line);
    REQUIRE(line.rfind("RECORD", 0) == std::string::npos);
  }
  return last;
}

void Node::guest_writes(const std::string& guest, int records) {
  reports(guest, "record [0-9]+ ok .*", count_lines(console(guest), " ok +") + records);
}

void Node::reports(const std::string& guest, const std::string& line, int times,
                   std::chrono::seconds limit) {
  const Typed found = tries("/lab/await-console " + guest + ' ' + std::to_string(limit.count()) +
                                ' ' + quoted(line) + ' ' + std::to_string(times),
                            limit + 30s);
  INFO("the console of " << guest << " on " << name() << " shows: " << found.output);
  INFO("demanded: " << times << " times " << line);
  REQUIRE(found.status == 0);
  REQUIRE((line.rfind("RECORD", 0) == 0 || found.output.rfind("RECORD", 0) != 0));
}

void Node::finds_records(const std::string& guest, long reported, int times) {
  reports(guest, "record chain [0-9]+\\.\\.[0-9]+ ok", times);
  std::istringstream lines(console(guest));
  long last = -1;
  for (std::string line; std::getline(lines, line);)
    std::sscanf(line.c_str(), "record chain %*d..%ld ok", &last);
  INFO("the last record that " << guest << " found when it started on " << name());
  REQUIRE(last >= reported);
}

Backend Node::backend(const std::string& guest, int device) {
  const std::string path =
      "/local/domain/0/backend/vbd/$(xl domid " + guest + ")/" + std::to_string(device) + "/";
  const auto read = [&](const std::string& key) {
    return without_end_of_line(tries("xenstore-read " + path + key + " 2>/dev/null").output);
  };
  return {read("physical-device"), read("physical-device-path"), read("hotplug-status")};
}

std::string Node::log() {
  return tries("cat /var/log/messages /var/log/xen/*.log 2>/dev/null").output;
}

void Node::explains(const std::string& resource, const std::string& words, int status) {
  Typed last;
  eventually([&] {
    last = tries("block-drbd test " + resource);
    return last.status == status && flat(last.output).find(words) != std::string::npos;
  });
  INFO(name() << "# block-drbd test " << resource << '\n' << last.output);
  REQUIRE_THAT(flat(last.output), Catch::Matchers::ContainsSubstring(words));
  REQUIRE(last.status == status);
}

std::string Node::chain_on_disk(int disk) {
  return without_end_of_line(types("/lab/recorder check /dev/vdb" + std::to_string(disk)));
}

std::string Node::leftovers(const std::string& resource) {
  return tries("/lab/leftovers " + resource).output;
}

void Node::left_nothing(const std::string& resource) {
  std::string found;
  eventually([&] { return (found = leftovers(resource)).empty(); }, 60s);
  INFO("left behind on " << name());
  REQUIRE(found == "");
}

void Node::keeps_no_window(const std::string& resource) {
  std::string found;
  eventually(
      [&] {
        found = tries("/lab/leftovers " + resource +
                      " | grep -e '^two primaries' -e window -e '^process'")
                    .output;
        return found.empty();
      },
      60s);
  INFO("left behind by the migration on " << name());
  REQUIRE(found == "");
}

void Node::has_healer() {
  starts("exec block-drbd heal");
  // Not by trying its lock: that would keep it from having it.
  REQUIRE(eventually(
      [&] { return tries("lslocks -n -o PATH | grep -qx /run/block-drbd/healer").status == 0; }));
}

void Node::after_next_add(const std::string& command) {
  types("/lab/after-add " + quoted(command));
}

void Node::comes_to_after_add() {
  REQUIRE(
      eventually([&] { return tries("test -e /run/after-add").status == 0; }, limit_of_migration));
}

void Node::receives(const std::string& guest) {
  REQUIRE(eventually([&] { return has_guest(guest); }, limit_of_migration));
}

void Node::loses_power() {
  channel_.reset();
  must_run("power off " + std::to_string(number_));
}

void Node::disk_fails() {
  must_run("disk fail " + std::to_string(number_));
}

void Node::boots() {
  must_run("power on " + std::to_string(number_));
  comes_up();
}

void Node::freezes() {
  frozen_ = true;
  must_run("power freeze " + std::to_string(number_));
}

void Node::thaws() {
  must_run("power thaw " + std::to_string(number_));
  frozen_ = false;
}

void Node::drops_lost_connections() {
  types("ss -K state fin-wait-1 state closing state last-ack");
}

void Node::comes_up() {
  types("/lab/reset install && touch /run/lab-ready && drbdadm up Wheezy Jessie Buster Broken",
        180s);
}

// ---- Lab ----

Lab::Lab() : failing_(std::uncaught_exceptions()) {
  must_run("up");
  const Typed reset = script("pristine");
  if (reset.status == 0)
    return;
  std::cout << "the lab: both nodes are booted again, since something is stuck that only power can "
               "loosen:\n"
            << reset.output << std::flush;
  must_run("down");
  must_run("up");
  must_run("pristine");
}

Lab::~Lab() {
  for (const Node* node : {&node1, &node2})
    if (node->frozen_)
      script("power thaw " + std::to_string(node->number_));
  if (std::uncaught_exceptions() > failing_)
    print_everything();
  if (cut_)
    script("link restore");
}

void Lab::program_is_a_package() {
  must(script("pristine", BLOCK_DRBD_PACKAGE), "pristine, with the package " BLOCK_DRBD_PACKAGE);
}

void Lab::link_is_cut() {
  cut_ = true;
  must_run("link cut");
}

void Lab::link_is_restored() {
  must_run("link restore");
  cut_ = false;
}

void Lab::power_fails() {
  for (Node* node : {&node1, &node2})
    node->channel_.reset();
  must_run("power off 1 2");
}

void Lab::power_is_back() {
  must_run("power on 1 2");
  for (Node* node : {&node1, &node2})
    node->comes_up();
}

void Lab::unwritten_side_follows(const std::string& resource) {
  for (Node* node : {&node1, &node2})
    node->types(
        "drbdadm net-options --after-sb-0pri=discard-zero-changes --after-sb-1pri=consensus " +
        resource);
}

void Lab::must_migrate(Node& from, Node& to, const std::string& guest, bool live) {
  const Typed migration = from.migrates(guest, to, live);
  INFO(migration.output);
  REQUIRE(migration.status == 0);
}

void Lab::has_moved(Node& from, Node& to, const std::string& guest, const std::string& resource,
                    int device) {
  REQUIRE(to.role(resource) == "Primary");
  from.becomes(resource, "Secondary");
  from.left_nothing(resource);
  to.keeps_no_window(resource);
  REQUIRE(to.backend(guest, device).hotplug_status == "connected");
  to.guest_writes(guest);
}

void Lab::disk_works_again(Node& node, const std::string& resource) {
  node.loses_power();
  node.boots();
  node.waits_until_up_to_date(resource);
  Node& other = &node == &node1 ? node2 : node1;
  other.drops_lost_connections();
}

void Lab::must_end(Node& node, const std::string& guest, const std::string& resource, int disk) {
  node.types("xl destroy " + guest);
  node.becomes(resource, "Secondary");
  node.left_nothing(resource);
  records_are_whole(guest, disk);
}

void Lab::records_are_whole(const std::string& guest, int disk) {
  const long reported = std::max(node1.last_record(guest), node2.last_record(guest));
  const std::string chain = node1.chain_on_disk(disk);
  INFO("on node1's disk: " << chain << "; reported: " << reported);
  REQUIRE(node2.chain_on_disk(disk) == chain);
  long first = 0;
  long last = 0;
  REQUIRE(std::sscanf(chain.c_str(), "record chain %ld..%ld ok", &first, &last) == 2);
  // The one it was writing when it ended need not have been reported.
  REQUIRE((last == reported || last == reported + 1));
}

void Lab::records_reach(long reported, int disk) {
  const std::string chain = node1.chain_on_disk(disk);
  INFO("reported: " << reported << "; on node1's disk: " << chain);
  REQUIRE(node2.chain_on_disk(disk) == chain);
  long first = 0;
  long last = 0;
  REQUIRE(std::sscanf(chain.c_str(), "record chain %ld..%ld ok", &first, &last) == 2);
  REQUIRE(last >= reported);
}

void Lab::print_everything() {
  for (Node* node : {&node1, &node2}) {
    std::cout << "\n######## " << node->name() << " ########\n";
    const Result<Reply> reply = node->run("/lab/explain", 60s);
    if (reply)
      std::cout << reply->output;
    else
      std::cout << reply.error().message << "\n";
    std::cout << "==== serial console, the end ====" << std::endl;
    const std::string tail = "tail -n 30 " + quoted(build() / node->name() / "serial.log");
    if (std::system(tail.c_str()) != 0)
      std::cout << "(none)\n";
  }
  std::cout << std::flush;
}

}  // namespace block_drbd::lab
