// What is remembered on this node: /proc/locks, two claims and a window.
#include "record/inventory.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <cstdio>

#include "records.h"
#include "targets.h"

namespace block_drbd::fuzz {

namespace {

constexpr std::string_view lockable[] = {"r0.lock", "r0.keeper", "healer"};

}  // namespace

Records::Records() {
  for (const std::string_view name : lockable)
    write(name, "");
}

std::string Records::by_inode(std::string_view locks) const {
  std::string text(locks);
  for (const std::string_view name : lockable) {
    struct stat file {};
    demand(::stat((*this / name).c_str(), &file) == 0, "a file is there", name);
    std::array<char, 64> inode{};
    static_cast<void>(std::snprintf(inode.data(), inode.size(), "%02x:%02x:%ju", major(file.st_dev),
                                    minor(file.st_dev), static_cast<std::uintmax_t>(file.st_ino)));
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at))
      text.replace(at, name.size(), inode.data());
  }
  return text;
}

void Records::put(std::string_view name, std::string_view text) const {
  if (text.empty())
    std::filesystem::remove(*this / name);
  else
    write(name, text);
}

void feed_inventory(std::string_view text) {
  static const Records directory;
  const std::string locks = directory.by_inode(take_part(text));
  std::size_t count = 0;
  for (const char* name : {"vbd-5-51712@r0.claim", "vbd-6-51712@r0.claim", "r0.window"}) {
    const std::string_view record = take_part(text);
    directory.put(name, record);
    count += record.empty() ? 0 : 1;
  }
  const auto take = [&](const std::string& lines) {
    const static test::TempDir proc;
    return record::take_inventory(directory.path(), proc.write("locks", lines));
  };
  const auto found = take(locks);
  demand(found.has_value(), "whatever is in it, a directory can be looked into");
  demand(found->claims.size() + found->windows.size() + found->unreadable.size() == count,
         "each record is found, or told to be unreadable");
  demand(found->can_be_read_of("r0") == found->unreadable.empty(),
         "nobody goes by some of the records");
  for (const auto& [file, why] : found->unreadable)
    demand_sentence(why);

  // Who waits has nothing yet, and other locks hide none.
  auto expected = *found;
  expected.keepers = {{"r0", 812}};
  const auto more =
      take(locks + directory.by_inode("\n"
                                      "7: FLOCK  ADVISORY  WRITE 812 r0.keeper 0 EOF\n"
                                      "7: -> FLOCK  ADVISORY  WRITE 813 r0.keeper 0 EOF\n"
                                      "8: -> FLOCK  ADVISORY  WRITE 814 r0.lock 0 EOF\n"
                                      "9: POSIX  ADVISORY  WRITE 815 healer 0 EOF\n"));
  demand(more && *more == expected, "just who has a lock holds it", locks);
}

}  // namespace block_drbd::fuzz
