#include "real_xenstored.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "xenstore/one_by_one.h"
#include "xenstore/pipelined.h"

extern "C" {
#include <xenstore.h>
}

namespace block_drbd::test {

namespace {

/// Debian has one for each version of Xen; others have one.
std::string find_xenstored() {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/usr/lib", ignored)) {
    const fs::path program = entry.path() / "bin/xenstored";
    if (entry.path().filename().string().starts_with("xen-") && fs::exists(program))
      return program;
  }
  for (const char* program : {"/usr/sbin/xenstored", "/usr/local/sbin/xenstored"})
    if (fs::exists(program))
      return program;
  throw std::runtime_error("there is no xenstored: install Xen's tools (Debian: xen-utils-4.17)");
}

int run(const std::string& xenstored, const TempDir& directory) {
  ::setenv("LD_PRELOAD", WITHOUT_XEN, 1);
  ::setenv("XENSTORED_RUNDIR", directory.path().c_str(), 1);
  ::setenv("XENSTORED_ROOTDIR", directory.path().c_str(), 1);
  ::setenv("XENSTORED_PATH", (directory / "socket").c_str(), 1);
  ::execl(xenstored.c_str(), "xenstored", "--no-fork", nullptr);
  return 98;
}

[[noreturn]] void failed(const std::string& doing) {
  throw std::runtime_error("cannot " + doing + ": " + std::strerror(errno));
}

}  // namespace

XenstoredPath::XenstoredPath(const std::string& path) {
  ::setenv("XENSTORED_PATH", path.c_str(), 1);
}

XenstoredPath::~XenstoredPath() {
  ::unsetenv("XENSTORED_PATH");
}

void RealXenstored::Close::operator()(xs_handle* handle) const {
  xs_close(handle);
}

RealXenstored::RealXenstored() {
  start();
}

void RealXenstored::start() {
  process_ = std::make_unique<Child>(
      [this, xenstored = find_xenstored()] { return run(xenstored, directory_); });
  const XenstoredPath path(socket());
  if (!eventually([&] {
        toolstack_.reset(xs_open(0));
        return toolstack_ != nullptr;
      }))
    failed("reach the xenstored that was started");
}

void RealXenstored::stop() {
  process_->signal(SIGKILL);
  process_->wait();
}

void RealXenstored::start_anew() {
  stop();
  start();
}

std::unique_ptr<xenstore::Store> RealXenstored::connect(Way way) const {
  const XenstoredPath path(socket());
  auto store = way == Way::Pipelined
                   ? Result<std::unique_ptr<xenstore::Store>>(xenstore::connect_pipelined())
                   : xenstore::connect_one_by_one();
  if (!store || !*store)
    throw std::runtime_error(store ? "no socket" : store.error().message);
  return std::move(*store);
}

std::unique_ptr<xenstore::Store> RealXenstored::connect_from(unsigned domid) const {
  const XenstoredPath path(socket_of(domid));
  auto store = xenstore::connect_one_by_one();  // as its kernel asks
  if (!store)
    throw std::runtime_error(store.error().message);
  return std::move(*store);
}

void RealXenstored::introduce(unsigned domid) {
  if (!xs_introduce_domain(toolstack_.get(), domid, 1, 1))
    failed("introduce a domain");
}

void RealXenstored::release(unsigned domid) {
  if (!xs_release_domain(toolstack_.get(), domid))
    failed("release a domain");
}

void RealXenstored::write(const std::string& path, const std::string& value) {
  if (!xs_write(toolstack_.get(), XBT_NULL, path.c_str(), value.data(),
                static_cast<unsigned>(value.size())))
    failed("write " + path);
}

void RealXenstored::wipe(const std::string& path) {
  if (!xs_rm(toolstack_.get(), XBT_NULL, path.c_str()))
    failed("remove " + path);
}

std::optional<std::string> RealXenstored::read(const std::string& path) {
  unsigned size = 0;
  char* value = static_cast<char*>(xs_read(toolstack_.get(), XBT_NULL, path.c_str(), &size));
  if (value == nullptr)
    return std::nullopt;
  std::string text(value, size);
  std::free(value);
  return text;
}

void RealXenstored::readable_by(unsigned domid, const std::string& path) {
  set_permissions(path, 0, domid);
}

void RealXenstored::give_to(unsigned domid, const std::string& path) {
  set_permissions(path, domid, std::nullopt);
}

void RealXenstored::set_permissions(const std::string& path, unsigned owner,
                                    std::optional<unsigned> reader) {
  xs_permissions permissions[2] = {};
  permissions[0].id = owner;
  permissions[0].perms = XS_PERM_NONE;
  permissions[1].id = reader.value_or(0);
  permissions[1].perms = XS_PERM_READ;
  if (!xs_set_permissions(toolstack_.get(), XBT_NULL, path.c_str(), permissions, reader ? 2 : 1))
    failed("set the permissions of " + path);
}

}  // namespace block_drbd::test
