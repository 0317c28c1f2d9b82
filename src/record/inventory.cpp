#include "record/inventory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>

#include "fd.h"
#include "file.h"
#include "record/contents.h"
#include "record/names.h"

namespace block_drbd::record {

namespace {

/// proc(5), locks: "1: FLOCK  ADVISORY  WRITE 812 00:1a:1234 0 EOF", device and inode. A line with
/// "->" is of one who waits.
std::map<std::string, pid_t> holders_of_locks(const std::string& locks) {
  std::map<std::string, pid_t> holders;
  std::istringstream lines(read_file(locks).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, access, inode;
    pid_t pid = 0;
    if (words >> number >> kind >> advisory >> access >> pid >> inode && kind == "FLOCK")
      holders[inode] = pid;
  }
  return holders;
}

/// A file as /proc/locks names it.
std::string inode_of(const struct stat& file) {
  std::array<char, 64> text;
  static_cast<void>(std::snprintf(text.data(), text.size(), "%02x:%02x:%llu", major(file.st_dev),
                                  minor(file.st_dev),
                                  static_cast<unsigned long long>(file.st_ino)));
  return text.data();
}

class Looker {
 public:
  Looker(std::string path, const Fd& directory, const std::string& locks)
      : path_(std::move(path)), directory_(directory), holders_(holders_of_locks(locks)) {}

  void look_at(const std::string& name) {
    const auto is = [&](std::string_view suffix) { return name.ends_with(suffix); };
    if (is(claim_suffix))
      take(name, found_.claims, claim_from_json);
    else if (is(window_suffix))
      take(name, found_.windows, window_from_json);
    else if (is(lock_suffix))
      note_holder(name, lock_suffix, found_.locks);
    else if (name == healer_name)
      found_.healer = holder_of(name);
    else if (is(keeper_suffix))
      note_holder(name, keeper_suffix, found_.keepers);
  }

  Inventory found() && { return std::move(found_); }

 private:
  template <typename Record>
  void take(const std::string& name, std::vector<Record>& records,
            Result<Record> (*from_json)(std::string_view)) {
    const auto text = contents_of(directory_, name);
    if (!text && text.error().code == ENOENT)
      return;  // removed meanwhile
    auto record = text.and_then(from_json);
    if (record)
      records.push_back(std::move(*record));
    else
      found_.unreadable[path_ + '/' + name] = record.error().message;
  }

  void note_holder(const std::string& name, std::string_view suffix,
                   std::map<std::string, pid_t>& holders) {
    if (const auto holder = holder_of(name))
      holders[name.substr(0, name.size() - suffix.size())] = *holder;
  }

  std::optional<pid_t> holder_of(const std::string& name) {
    struct stat status {};
    if (::fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return std::nullopt;
    const auto holder = holders_.find(inode_of(status));
    return holder == holders_.end() ? std::nullopt : std::optional(holder->second);
  }

  std::string path_;
  const Fd& directory_;
  std::map<std::string, pid_t> holders_;
  Inventory found_;
};

}  // namespace

const Window* Inventory::window_of(const std::string& resource) const {
  const auto found = std::ranges::find(windows, resource, &Window::resource);
  return found == windows.end() ? nullptr : &*found;
}

bool Inventory::can_be_read_of(const std::string& resource) const {
  return std::ranges::none_of(unreadable, [&](const auto& each) {
    const auto& [file, why] = each;
    return file.ends_with('@' + resource + std::string(claim_suffix)) ||
           file.ends_with('/' + resource + std::string(window_suffix));
  });
}

Result<Inventory> take_inventory(const std::string& path, const std::string& locks) {
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory && errno == ENOENT)
    return Inventory{};
  struct CloseDir {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  const std::unique_ptr<DIR, CloseDir> stream(directory ? ::opendir(path.c_str()) : nullptr);
  if (!stream)
    return failure("cannot look into " + path + ": " + std::strerror(errno), errno);
  Looker looker(path, directory, locks);
  while (const dirent* entry = ::readdir(stream.get()))
    looker.look_at(entry->d_name);
  return std::move(looker).found();
}

}  // namespace block_drbd::record
