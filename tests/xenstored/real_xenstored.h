// A real xenstored, without a hypervisor, in a directory of its own: a fixture that starts and
// stops it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "child.h"
#include "temp_dir.h"
#include "xenstore/store.h"

struct xs_handle;

namespace block_drbd::test {

class RealXenstored {
 public:
  RealXenstored();

  /// Where programs of dom0 find it (XENSTORED_PATH).
  std::string socket() const { return directory_ / "socket"; }
  /// Where programs of another domain find it, once that is introduced.
  std::string socket_of(unsigned domid) const {
    return directory_ / ("domain-" + std::to_string(domid));
  }

  /// The two stores that there are.
  enum class Way { Pipelined, OneByOne };

  /// The store under test, as a program of dom0 or of another domain.
  std::unique_ptr<xenstore::Store> connect(Way way = Way::Pipelined) const;
  std::unique_ptr<xenstore::Store> connect_from(unsigned domid) const;

  // What the toolstack does, through a connection of its own.
  void introduce(unsigned domid);
  void release(unsigned domid);
  void write(const std::string& path, const std::string& value);
  void wipe(const std::string& path);
  std::optional<std::string> read(const std::string& path);
  /// Owned by dom0, and readable by one other domain.
  void readable_by(unsigned domid, const std::string& path);
  /// Owned by a domain, and closed to all others but dom0.
  void give_to(unsigned domid, const std::string& path);

  pid_t pid() const { return process_->pid(); }
  /// Kills it.
  void stop();
  /// Kills it, and starts another one with the same sockets, and with nothing in its store.
  void start_anew();

 private:
  struct Close {
    void operator()(xs_handle* handle) const;
  };

  void start();
  void set_permissions(const std::string& path, unsigned owner, std::optional<unsigned> reader);

  TempDir directory_;
  std::unique_ptr<Child> process_;
  std::unique_ptr<xs_handle, Close> toolstack_;
};

/// What libxenstore takes its socket from, set for as long as this lives.
class XenstoredPath {
 public:
  explicit XenstoredPath(const std::string& path);
  XenstoredPath(const XenstoredPath&) = delete;
  XenstoredPath& operator=(const XenstoredPath&) = delete;
  ~XenstoredPath();
};

}  // namespace block_drbd::test
