// Who started us, in a /proc of the tests' own.
#include "process/ancestry.h"

#include <unistd.h>

#include <csignal>

#include "catch.h"
#include "child.h"
#include "temp_dir.h"

using block_drbd::process::is_below_migrate_receive;
using namespace block_drbd::test;

namespace {

class Proc {
 public:
  void process(pid_t pid, pid_t parent, const std::vector<std::string>& words,
               const std::string& name = "name") {
    const std::string directory = std::to_string(pid);
    std::string command_line;
    for (const std::string& word : words)
      command_line += word + '\0';
    proc_.write(directory + "/cmdline", command_line);
    proc_.write(directory + "/stat", directory + " (" + name + ") S " + std::to_string(parent) +
                                         " 812 812 0 -1 4194304 1 0 0 0\n");
  }
  void raw_stat(pid_t pid, const std::string& text) {
    proc_.write(std::to_string(pid) + "/stat", text);
  }
  bool is_incoming(pid_t pid = 100) const { return is_below_migrate_receive(pid, proc_.path()); }

 private:
  TempDir proc_;
};

}  // namespace

TEST_CASE("xl migrate-receive is found above us", "[ancestry]") {
  Proc proc;
  proc.process(100, 90, {"/bin/sh", "-c", "/etc/xen/scripts/block-drbd add"});
  proc.process(90, 80, {"xl", "migrate-receive"});
  CHECK(proc.is_incoming());
}

TEST_CASE("it is found with its path, its options and a wrapper in between", "[ancestry]") {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"/usr/sbin/xl", "migrate-receive"},
           {"/usr/lib/xen-4.17/bin/xl", "-vvv", "migrate-receive", "--paused"},
           {"xl", "migrate-receive", "-r"}}) {
    Proc proc;
    proc.process(100, 95, {"bash", "/etc/xen/scripts/our-wrapper", "add"});
    proc.process(95, 90, {"/usr/bin/env", "-i", "sh"});
    proc.process(90, 80, words);
    proc.process(80, 1, {"sshd: root@notty"});
    CHECK(proc.is_incoming());
  }
}

TEST_CASE("other ancestors are no migration", "[ancestry]") {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"xl", "create", "/etc/xen/web.cfg"},
           {"xl", "restore", "/var/lib/xen/web.save"},
           {"xl", "create", "/root/migrate-receive.cfg"},
           {"xl"},
           {"migrate-receive"},
           {"migrate-receive", "xl"},
           {"xlx", "migrate-receive"},
           {"/tmp/notxl", "migrate-receive"},
           {"xl/migrate-receive", "migrate-receive"},
           // The command of an ssh is one word of a shell's, not an xl.
           {"sh", "-c", "xl migrate-receive"},
           {"xl migrate-receive"},
           {""},
           {}}) {
    Proc proc;
    proc.process(100, 90, words);
    proc.process(90, 1, {"systemd"});
    CHECK_FALSE(proc.is_incoming());
  }
}

TEST_CASE("a process may be called anything", "[ancestry]") {
  for (const char* name :
       {"a b", "a) S 1 (b", "))))", "((((", "", ") S 1", "x\ny) R 1 1", "(xl)"}) {
    INFO(name);
    Proc proc;
    proc.process(100, 90, {"sh"}, name);
    proc.process(90, 1, {"xl", "migrate-receive"});
    CHECK(proc.is_incoming());
  }
}

TEST_CASE("the search ends where ancestors end", "[ancestry]") {
  Proc proc;
  SECTION("at init, which is nobody's xl") {
    proc.process(100, 1, {"sh"});
    proc.process(1, 0, {"xl", "migrate-receive"});
    CHECK_FALSE(proc.is_incoming());
  }
  SECTION("at a process that has ended meanwhile") {
    proc.process(100, 90, {"sh"});
    CHECK_FALSE(proc.is_incoming());
  }
  SECTION("in a loop, which pids that are used again could show") {
    proc.process(100, 90, {"sh"});
    proc.process(90, 100, {"sh"});
    CHECK_FALSE(proc.is_incoming());
    proc.process(100, 100, {"sh"});
    CHECK_FALSE(proc.is_incoming());
  }
  SECTION("at what makes no sense") {
    for (const char* text :
         {"", "100", "100 (sh", "100 (sh)", "100 (sh) ", "100 (sh) S", "100 (sh) S ",
          "100 (sh) S x", "100 (sh) S -5 ", "100 (sh) S 99999999999999999999 "}) {
      proc.process(100, 90, {"sh"});
      proc.raw_stat(100, text);
      CHECK_FALSE(proc.is_incoming());
    }
  }
  SECTION("without a parent that could be asked for") {
    CHECK_FALSE(proc.is_incoming(0));
    CHECK_FALSE(proc.is_incoming(-1));
  }
}

TEST_CASE("a long row of wrappers is followed", "[ancestry]") {
  Proc proc;
  for (pid_t pid = 100; pid > 60; --pid)
    proc.process(pid, pid - 1, {"sh"});
  proc.process(60, 1, {"xl", "migrate-receive"});
  CHECK(proc.is_incoming());
}

TEST_CASE("the real /proc", "[ancestry]") {
  CHECK_FALSE(is_below_migrate_receive(::getpid()));
  const TempDir tools;
  // A script's first word is its interpreter; it is an exec that sets the name.
  Child receiver([&] {
    const std::string command = "exec -a /usr/sbin/xl bash -c 'sleep 1000 & echo $! > " +
                                (tools / "pid") + "; wait' migrate-receive";
    ::execl("/bin/bash", "bash", "-c", command.c_str(), nullptr);
    return 98;
  });
  REQUIRE(eventually([&] { return tools.read("pid").ends_with('\n'); }));
  const pid_t pid = std::stoi(tools.read("pid"));
  CHECK(is_below_migrate_receive(pid));
  ::kill(pid, SIGKILL);
}
