#include "diagnose/target.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "drbd/json.h"

namespace block_drbd::diagnose {

namespace {

constexpr std::string_view prefix = "drbd:";
constexpr Duration answer_limit = std::chrono::seconds(10);

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  const auto last = text.find_last_not_of(" \t");
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, last - first + 1);
}

/// The names that xl.cfg(5) has for the access, in a place of its own or behind `access=`.
bool is_access(std::string_view word) {
  return word == "r" || word == "ro" || word == "w" || word == "rw" || word == "w!";
}

/// Empty for this host's own.
std::string driver_domain_from(std::string_view backend) {
  return backend == "0" || backend == "Domain-0" ? "" : std::string(backend);
}

/// A disk line: words between commas, of which `target=` takes all that follows.
class DiskLine {
 public:
  explicit DiskLine(std::string_view text) {
    for (bool first = true; !text.empty(); first = false) {
      const auto trimmed_text = trimmed(text);
      if (trimmed_text.starts_with("target=")) {
        target_ = trimmed_text.substr(trimmed_text.find('=') + 1);
        return;
      }
      const auto comma = text.find(',');
      read(trimmed(text.substr(0, comma)), first);
      text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
  }

  bool is_ours() const {
    return target_.starts_with(prefix) || script_ == "block-drbd" ||
           script_.ends_with("/block-drbd");
  }
  std::string_view target() const { return target_; }
  std::string_view vdev() const { return vdev_; }
  std::string_view backend() const { return backend_; }
  policy::Access access() const { return policy::access_from(access_); }

 private:
  void read(std::string_view word, bool first) {
    const auto equals = word.find('=');
    const std::string_view key =
        equals == std::string_view::npos ? std::string_view() : word.substr(0, equals);
    const std::string_view value = word.substr(equals == std::string_view::npos ? 0 : equals + 1);
    if (key == "script")
      script_ = value;
    else if (key == "vdev")
      vdev_ = value;
    else if (key == "backend")
      backend_ = value;
    else if (key == "access")
      access_ = value;
    else if (!key.empty())
      return;
    else if (first)
      target_ = word;
    else if (is_access(word))
      access_ = word;
    else if (word.starts_with("xvd") || word.starts_with("hd") || word.starts_with("sd"))
      vdev_ = word;
  }

  std::string target_, script_, vdev_, backend_;
  std::string access_ = "w";
};

}  // namespace

Result<Target> target_from(std::string_view text) {
  const bool is_line = text.find_first_of(",=") != std::string_view::npos;
  const DiskLine line(text);
  if (is_line && !line.is_ours())
    return failure("'" + printable(text) +
                   "' is not the line of a DRBD disk: that begins with drbd: or has "
                   "script=block-drbd");
  auto spec = parse_disk_spec(is_line ? line.target() : text);
  if (!spec)
    return failure(spec.error());
  return Target{.spec = std::move(*spec),
                .access = line.access(),
                .guest = {},
                .vdev = std::string(line.vdev()),
                .driver_domain = driver_domain_from(line.backend())};
}

bool is_configuration(const std::string& word) {
  std::error_code ignored;
  return word.starts_with('/') || word.starts_with("./") || word.starts_with("../") ||
         (word.find_first_of(",=:") == std::string::npos &&
          (word.ends_with(".cfg") || std::filesystem::is_regular_file(word, ignored)));
}

Result<std::vector<Target>> targets_in_configuration(process::Processes& processes,
                                                     const std::string& path) {
  std::error_code failed;
  // xl looks for an option in what begins with '-'; an absolute path does not.
  const std::string file = std::filesystem::canonical(path, failed).string();
  if (failed)
    return failure(printable(path) + " cannot be read: " + failed.message());
  const auto output = processes.run({"xl", "create", "--dryrun", file}, answer_limit);
  if (!output)
    return failure("the configuration " + printable(path) +
                   " is read with xl: " + output.error().message);
  const auto begin = output->out.find('{');
  const drbd::Json json = drbd::Json::parse(
      begin == std::string::npos ? std::string_view() : std::string_view(output->out).substr(begin),
      nullptr, false);
  if (output->exit_code != 0 || !json.is_object()) {
    std::string said = output->err.empty() ? output->out : output->err;
    while (said.ends_with('\n'))
      said.pop_back();
    // It quotes what may be in the file.
    std::ranges::replace_if(
        said, [](unsigned char c) { return c != '\n' && (c < 0x20 || c >= 0x7f); }, '?');
    return failure("xl cannot read " + printable(path) + ":\n" + said);
  }
  const std::string guest(drbd::text_of(drbd::member(json, "c_info"), "name"));
  const drbd::Json& disks = drbd::member(json, "disks");
  std::vector<Target> targets;
  if (!drbd::is_list(disks))
    return failure("`xl create --dryrun` printed what this program does not understand");
  for (const drbd::Json& disk : disks) {
    const std::string script(drbd::text_of(disk, "script"));
    if (script != "block-drbd" && !script.ends_with("/block-drbd"))
      continue;
    auto spec = parse_disk_spec(drbd::text_of(disk, "pdev_path"));
    if (!spec)
      return failure(printable(path) + ": " + spec.error().message);
    const bool writes = drbd::number_of(disk, "readwrite").value_or(0) != 0;
    targets.push_back(
        {.spec = std::move(*spec),
         .access = writes ? policy::Access::ReadWrite : policy::Access::ReadOnly,
         .guest = guest,
         .vdev = std::string(drbd::text_of(disk, "vdev")),
         .driver_domain = driver_domain_from(drbd::text_of(disk, "backend_domname"))});
  }
  return targets;
}

}  // namespace block_drbd::diagnose
