#include "xenstore/backend.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <functional>

#include "spec/disk_spec.h"

namespace block_drbd::xenstore {

namespace {

template <typename Number>
std::optional<Number> number_from(std::string_view text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end)
    return std::nullopt;
  return number;
}

/// Takes the text up to the next slash off `rest`.
std::string_view take_part(std::string_view& rest) {
  const auto slash = rest.find('/');
  const std::string_view part = rest.substr(0, slash);
  rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  return part;
}

State state_from(std::string_view text) {
  if (text == "1")
    return State::Initialising;
  if (text == "2")
    return State::InitWait;
  return text.empty() ? State::Unknown : State::Other;
}

using Value = Result<std::optional<std::string>>;

/// A missing value is an empty one; any other failure stays a failure.
Result<std::string> or_empty(Value&& value) {
  return std::move(value).map([](auto&& text) { return text.value_or(""); });
}

/// As above, and a value that may not be read is an empty one, too.
Result<std::string> if_permitted(Value&& value) {
  if (!value && value.error().code == EACCES)
    return "";
  return or_empty(std::move(value));
}

}  // namespace

Result<BackendPath> BackendPath::parse(std::string_view text) {
  constexpr std::string_view own = "/local/domain/";
  std::string_view rest = text;
  bool well_formed = true;
  if (rest.starts_with(own)) {
    rest.remove_prefix(own.size());
    well_formed = number_from<DomId>(take_part(rest)).has_value();
  }
  well_formed = well_formed && take_part(rest) == "backend";
  const std::string_view type = take_part(rest);
  const auto frontend = number_from<DomId>(take_part(rest));
  const auto device = number_from<unsigned>(take_part(rest));
  const bool plain_type = !type.empty() && std::all_of(type.begin(), type.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!well_formed || !plain_type || !frontend || !device || !rest.empty() || text.ends_with('/'))
    return failure("XENBUS_PATH is '" + printable(text) +
                   "', not the path of a disk's backend such as backend/vbd/5/51712: the toolstack "
                   "sets it when it runs a block script");
  return BackendPath(std::string(type), *frontend, *device);
}

std::string BackendPath::text() const {
  return "backend/" + type_ + '/' + std::to_string(frontend_) + '/' + std::to_string(device_);
}

Result<std::optional<Backend>> read_backend(Store& store, const BackendPath& path) {
  Backend backend{.path = path,
                  .params = {},
                  .mode = {},
                  .dev = {},
                  .state = State::Unknown,
                  .physical_device = {}};
  struct {
    std::string_view key;
    std::string& value;
  } const values[] = {{"params", backend.params},
                      {"mode", backend.mode},
                      {"dev", backend.dev},
                      {"physical-device", backend.physical_device}};
  std::vector<std::string> paths{path / "state"};
  for (const auto& each : values)
    paths.push_back(path / each.key);
  auto answers = store.read_each(paths);

  const Value& state = answers.front();
  if (!state)
    return failure(state.error());
  if (!*state)
    return std::nullopt;
  backend.state = state_from(**state);
  for (std::size_t i = 0; i < std::size(values); ++i) {
    auto text = or_empty(std::move(answers[i + 1]));
    if (!text)
      return failure(text.error());
    values[i].value = std::move(*text);
  }
  return backend;
}

namespace {

Result<std::vector<Backend>> attached_backends(
    Store& store, const std::function<bool(const std::string& physical_device)>& wanted) {
  const std::string type = "vbd";
  const std::string directory = "backend/" + type;
  const auto frontends = store.list(directory);
  if (!frontends)
    return failure(frontends.error());
  std::vector<std::string> directories;
  directories.reserve(frontends->size());
  for (const std::string& frontend : *frontends)
    directories.push_back(std::string(directory).append("/").append(frontend));
  const auto devices = store.list_each(directories);

  std::vector<BackendPath> paths;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (!devices[i])
      return failure(devices[i].error());
    const auto id = number_from<DomId>((*frontends)[i]);
    for (const std::string& device : *devices[i])
      if (const auto number = number_from<unsigned>(device); id && number)
        paths.emplace_back(type, *id, *number);  // what else is there the toolstack did not make
  }
  // One value of each of the many disks that have nothing to do with us.
  std::vector<std::string> keys;
  keys.reserve(paths.size());
  for (const BackendPath& path : paths)
    keys.push_back(path / "physical-device");
  auto values = store.read_each(keys);

  std::vector<Backend> attached;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto physical = or_empty(std::move(values[i]));
    if (!physical)
      return failure(physical.error());
    if (!wanted(*physical))
      continue;
    auto backend = read_backend(store, paths[i]);
    if (!backend)
      return failure(backend.error());
    if (*backend)
      attached.push_back(std::move(**backend));
  }
  return attached;
}

}  // namespace

Result<std::vector<Backend>> backends_attached_to(Store& store,
                                                  const std::set<std::string>& physical_devices) {
  return attached_backends(store, [&](const std::string& physical_device) {
    return physical_devices.contains(physical_device);
  });
}

Result<std::vector<Backend>> backends_on_major(Store& store, unsigned major) {
  std::array<char, 16> beginning{};
  static_cast<void>(std::snprintf(beginning.data(), beginning.size(), "%x:", major));
  return attached_backends(store, [&](const std::string& physical_device) {
    return physical_device.starts_with(beginning.data());
  });
}

bool is_kept_of(std::string_view guest, std::string_view name) {
  constexpr std::string_view form = "-00000000T0000Z";
  if (guest.empty() || !name.starts_with(guest))
    return false;
  const std::string_view time = name.substr(guest.size());
  return std::equal(time.begin(), time.end(), form.begin(), form.end(), [](char c, char expected) {
    return expected == '0' ? c >= '0' && c <= '9' : c == expected;
  });
}

Result<Domain> read_domain(Store& store, DomId id) {
  const auto home = [](DomId domain) { return "/local/domain/" + std::to_string(domain); };
  Domain domain{.id = id, .exists = store.domain_exists(id), .name = {}, .vm = {}, .target = {}};
  auto answers = store.read_each({home(id) + "/target", home(id) + "/name", home(id) + "/vm"});
  const auto target = if_permitted(std::move(answers[0]));
  if (!target)
    return failure(target.error());
  domain.target = number_from<DomId>(*target);
  answers.erase(answers.begin());
  if (domain.target)
    answers = store.read_each({home(*domain.target) + "/name", home(*domain.target) + "/vm"});

  auto name = if_permitted(std::move(answers[0]));
  auto vm = if_permitted(std::move(answers[1]));
  if (!name || !vm)
    return failure(!name ? name.error() : vm.error());
  domain.name = std::move(*name);
  constexpr std::string_view directory = "/vm/";
  domain.vm = vm->starts_with(directory) ? vm->substr(directory.size()) : *vm;
  return domain;
}

bool same_vm(const Domain& one, const Domain& other) {
  const auto plain = [](std::string_view vm) {
    return vm.ends_with("-1") ? vm.substr(0, vm.size() - 2) : vm;
  };
  return !one.vm.empty() && !other.vm.empty() && plain(one.vm) == plain(other.vm);
}

}  // namespace block_drbd::xenstore
