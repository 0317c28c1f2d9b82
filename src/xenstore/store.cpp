#include "xenstore/store.h"

#include "xenstore/one_by_one.h"
#include "xenstore/pipelined.h"

namespace block_drbd::xenstore {

std::vector<Result<std::optional<std::string>>> Store::read_each(
    const std::vector<std::string>& paths) {
  std::vector<Result<std::optional<std::string>>> values;
  values.reserve(paths.size());
  for (const std::string& path : paths)
    values.push_back(read(path));
  return values;
}

std::vector<Result<std::vector<std::string>>> Store::list_each(
    const std::vector<std::string>& paths) {
  std::vector<Result<std::vector<std::string>>> lists;
  lists.reserve(paths.size());
  for (const std::string& path : paths)
    lists.push_back(list(path));
  return lists;
}

Result<void> Store::write_each(const Values& values) {
  for (const auto& [path, value] : values)
    if (auto written = write(path, value); !written)
      return written;
  return {};
}

Result<std::unique_ptr<Store>> connect() {
  if (auto pipelined = connect_pipelined())
    return pipelined;
  return connect_one_by_one();
}

}  // namespace block_drbd::xenstore
