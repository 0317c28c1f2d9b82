// Processes of a test's own: for what ends a process, and for what one process does to another.
//
// Nothing here asserts a time. What must happen is waited for, up to a limit beyond which it will
// not happen any more: a test that fails does not hang.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "fd.h"

namespace block_drbd::test {

struct Pipe {
  Pipe();
  Fd read_end;
  Fd write_end;
};

/// What comes out of a descriptor up to its end, or up to `until` where that is given; what came so
/// far when it takes too long.
std::string read_all(const Fd& from, std::string_view until = {});

/// Fills a pipe until it takes nothing more, or until `room` pages are left.
void fill(const Fd& pipe, int room = 0);

/// Waits for a condition. False: it did not come.
bool eventually(const std::function<bool()>& condition);

/// The exit code of one of our children; 128 + n for signal n. Nothing when it does not end.
std::optional<int> wait_for(pid_t pid);

/// None of our children is left, not even as a zombie.
bool all_reaped();

/// A process that runs `body` and exits with what that returns.
class Child {
 public:
  explicit Child(const std::function<int()>& body);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  std::optional<int> wait();

 private:
  pid_t pid_ = -1;
};

/// While it lives, children of our children that are left behind become ours.
class Subreaper {
 public:
  Subreaper();
  Subreaper(const Subreaper&) = delete;
  Subreaper& operator=(const Subreaper&) = delete;
  ~Subreaper();
};

}  // namespace block_drbd::test
