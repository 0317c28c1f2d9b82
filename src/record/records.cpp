#include "record/records.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "fd.h"
#include "record/contents.h"
#include "record/names.h"

namespace block_drbd::record {

namespace {

tl::unexpected<Error> cannot(const std::string& doing, const std::string& path) {
  const int code = errno;
  return failure("cannot " + doing + ' ' + path + ": " + std::strerror(code), code);
}

/// Opens a directory of ours, making it when it is missing. Not through a link, and only when
/// nobody else can write there.
Result<Fd> own_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return cannot("make the directory", path);
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory)
    return cannot("open the directory", path);
  struct stat status {};
  if (::fstat(directory.get(), &status) != 0)
    return cannot("look at the directory", path);
  if (status.st_uid != ::geteuid() || (status.st_mode & 022) != 0)
    return failure(
        "the directory " + path +
        " can be written by others; what is remembered there cannot be trusted. Remove "
        "it, it is made anew; then look with `drbdadm status` which resources are Primary, and run "
        "`drbdadm adjust all`, which forbids two primaries where they are not configured");
  return directory;
}

/// A claim's file: `backend/vbd/5/51712` on `Wheezy` is `vbd-5-51712@Wheezy.claim`. Neither part
/// can have an '@'.
std::string beginning_of_name(const xenstore::BackendPath& backend) {
  std::string text = backend.text().substr(std::strlen("backend/"));
  std::replace(text.begin(), text.end(), '/', '-');
  return text + '@';
}

std::string end_of_name(const std::string& resource) {
  return '@' + resource + std::string(claim_suffix);
}

std::string file_name(const Claim& claim) {
  return beginning_of_name(claim.backend) + end_of_name(claim.resource).substr(1);
}

/// An address as part of a file's name: what could lead elsewhere is written as "%2f".
std::string as_file_name(std::string_view address) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string name;
  for (const unsigned char c : address) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == ':' || c == '-' || c == '_' || (c == '.' && !name.empty());
    if (plain)
      name += static_cast<char>(c);
    else
      name.append({'%', digits[c >> 4], digits[c & 15]});
  }
  return name;
}

/// A lock on an open file: ends when the descriptor is closed.
class FileLock : public Lock {
 public:
  explicit FileLock(Fd file) : file_(std::move(file)) {}

 private:
  Fd file_;
};

/// Xen's locking.sh: the holder removes the file before it lets go, so whoever locked a file that
/// is no longer the one of that name has locked nothing.
class XenLock final : public FileLock {
 public:
  XenLock(Fd file, std::string path) : FileLock(std::move(file)), path_(std::move(path)) {}
  ~XenLock() override { ::unlink(path_.c_str()); }

 private:
  std::string path_;
};

class RunDirectory final : public Records {
 public:
  RunDirectory(std::string path, Fd directory, std::string xen_locks)
      : path_(std::move(path)),
        directory_(std::move(directory)),
        xen_locks_(std::move(xen_locks)) {}

  Result<void> write(const Claim& claim) override { return put(file_name(claim), to_json(claim)); }

  Result<void> remove(const Claim& claim) override { return drop(file_name(claim)); }

  Result<std::vector<Claim>> claims_on(const std::string& resource) override {
    return claims(
        [end = end_of_name(resource)](const std::string& name) { return name.ends_with(end); });
  }

  Result<std::vector<Claim>> claims_of(const xenstore::BackendPath& backend) override {
    return claims([beginning = beginning_of_name(backend)](const std::string& name) {
      return name.starts_with(beginning) && name.ends_with(claim_suffix);
    });
  }

  Result<void> write(const Window& window) override {
    return put(named(window.resource, window_suffix), to_json(window));
  }

  Result<void> remove_held(const std::string& resource) override {
    return drop(named(resource, held_suffix));
  }

  Result<void> remove_window(const std::string& resource) override {
    return drop(named(resource, window_suffix));
  }

  Result<std::optional<Window>> window_of(const std::string& resource) override {
    return get(named(resource, window_suffix), window_from_json,
               "Once the resource is Primary on one node only, run `drbdadm adjust " + resource +
                   "`, which forbids two primaries unless they are configured, and remove it");
  }

  Result<void> write(const Held& held) override {
    return put(named(held.resource, held_suffix), to_json(held));
  }

  Result<std::optional<Held>> held(const std::string& resource) override {
    return get(named(resource, held_suffix), held_from_json, remove_it);
  }

  Result<void> write(const Outage& outage) override {
    return put(named(as_file_name(outage.peer), outage_suffix), to_json(outage));
  }

  Result<std::optional<Outage>> outage(const std::string& peer) override {
    return get(named(as_file_name(peer), outage_suffix), outage_from_json, remove_it);
  }

  Result<std::unique_ptr<Lock>> try_lock_keeper(const std::string& resource) override {
    return try_lock_file(named(resource, keeper_suffix));
  }

  Result<std::unique_ptr<Lock>> try_lock_healer() override {
    return try_lock_file(std::string(healer_name));
  }

  Result<std::unique_ptr<Lock>> try_lock_place(unsigned number) override {
    const std::string name = place(number);
    auto lock = try_lock_file(name);
    if (lock && *lock)
      ::utimensat(directory_.get(), name.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
    return lock;
  }

  std::int64_t place_taken_at(unsigned number) override {
    struct stat status {};
    if (::fstatat(directory_.get(), place(number).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return 0;
    constexpr std::int64_t nanoseconds = 1'000'000'000;
    return status.st_mtim.tv_sec * nanoseconds + status.st_mtim.tv_nsec;
  }

  Result<std::unique_ptr<Lock>> try_lock(const std::string& resource) override {
    return try_lock_file(named(resource, lock_suffix));
  }

  Result<std::unique_ptr<Lock>> try_lock_xen_block() override {
    if (::mkdir(xen_locks_.c_str(), 0755) != 0 && errno != EEXIST)
      return cannot("make the directory", xen_locks_);
    const std::string path = xen_locks_ + "/block";
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!file)
      return cannot("open the lock", path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        return nullptr;
      return cannot("take the lock", path);
    }
    struct stat held {};
    struct stat named {};
    if (::fstat(file.get(), &held) != 0 || ::stat(path.c_str(), &named) != 0 ||
        held.st_ino != named.st_ino || held.st_dev != named.st_dev)
      return nullptr;  // its holder has just let go: the next try finds the new file
    return std::make_unique<XenLock>(std::move(file), path);
  }

 private:
  static constexpr const char* remove_it = "Remove it; it can be done without";

  static std::string named(std::string name, std::string_view suffix) {
    return name.append(suffix);
  }

  static std::string place(unsigned number) { return named(std::to_string(number), place_suffix); }

  /// The whole text or, when it fails, what was there before.
  Result<void> put(const std::string& name, const std::string& text) {
    const std::string draft = name + ".new." + std::to_string(::getpid());
    ::unlinkat(directory_.get(), draft.c_str(), 0);
    const Fd file(::openat(directory_.get(), draft.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file)  // nor would there be a file for the lock of a keeper
      return cannot("write", path_ + '/' + draft);
    if (write_all(file, text) &&
        ::renameat(directory_.get(), draft.c_str(), directory_.get(), name.c_str()) == 0)
      return {};
    const auto error = cannot("write", path_ + '/' + name);
    ::unlinkat(directory_.get(), draft.c_str(), 0);
    if (error.value().code == ENOSPC && overwrite(name, text))
      return {};
    return error;
  }

  static bool write_all(const Fd& file, std::string_view text) {
    while (!text.empty()) {
      const ssize_t size = ::write(file.get(), text.data(), text.size());
      if (size <= 0)
        return false;
      text.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }

  /// What is no longer than what it takes the place of needs no room: that a use has ended can be
  /// noted on a full disk, too. Up to a page is written whole or not at all.
  bool overwrite(const std::string& name, const std::string& text) {
    const Fd file(
        ::openat(directory_.get(), name.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0)
      return false;
    const auto room = static_cast<std::size_t>(status.st_size);
    constexpr std::size_t page = 4096;
    if (text.size() > room || room > page)
      return false;
    std::string padded = text;
    padded.resize(room, ' ');
    return ::pwrite(file.get(), padded.data(), room, 0) == status.st_size;
  }

  Result<void> drop(const std::string& name) {
    if (::unlinkat(directory_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
      return cannot("remove", path_ + '/' + name);
    return {};
  }

  /// The record in a file; nothing when there is no such file. `advice`: what to do about one that
  /// cannot be read.
  template <typename Record>
  Result<std::optional<Record>> get(const std::string& name,
                                    Result<Record> (*from_json)(std::string_view),
                                    const std::string& advice) {
    const auto text = contents_of(directory_, name);
    if (!text && text.error().code == ENOENT)
      return std::nullopt;
    auto record = text.and_then(from_json);
    if (!record)
      return failure("the record " + path_ + '/' + name + " cannot be read (" +
                     record.error().message + "). " + advice);
    return std::optional(std::move(*record));
  }

  Result<std::unique_ptr<Lock>> try_lock_file(const std::string& name) {
    Fd file(
        ::openat(directory_.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file)
      return cannot("open the lock", path_ + '/' + name);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0)
      return std::make_unique<FileLock>(std::move(file));
    if (errno == EWOULDBLOCK)
      return nullptr;
    return cannot("take the lock", path_ + '/' + name);
  }

  template <typename Wanted>
  Result<std::vector<Claim>> claims(Wanted wanted) {
    struct CloseDir {
      void operator()(DIR* stream) const { ::closedir(stream); }
    };
    const std::unique_ptr<DIR, CloseDir> stream(::opendir(path_.c_str()));
    if (!stream)
      return cannot("list the directory", path_);
    std::vector<Claim> claims;
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string name = entry->d_name;
      if (!wanted(name))
        continue;
      auto claim = get(name, claim_from_json,
                       "Look whether the guest that it names still runs (xl list); if not, remove "
                       "it");
      if (!claim)
        return failure(claim.error());
      if (*claim)  // else removed meanwhile
        claims.push_back(std::move(**claim));
    }
    return claims;
  }

  std::string path_;
  Fd directory_;
  std::string xen_locks_;
};

}  // namespace

Result<std::unique_ptr<Records>> open_records(const std::string& directory,
                                              const std::string& xen_locks) {
  auto opened = own_directory(directory);
  if (!opened)
    return failure(opened.error());
  return std::make_unique<RunDirectory>(directory, std::move(*opened), xen_locks);
}

}  // namespace block_drbd::record
