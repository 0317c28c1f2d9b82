#include "config/config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "file.h"
#include "json_error.h"
#include "spec/disk_spec.h"

namespace block_drbd::config {

using policy::Choices;
// The order of the file: the first mistake in it is the one that is told.
using Json = nlohmann::ordered_json;

namespace {

/// A key, its two values, and what the second of them turns over.
struct Choice {
  std::string_view key;
  std::string_view by_default;
  std::string_view other;
  bool Choices::*choice;
};

constexpr std::array choices{
    Choice{"when-peer-unreachable", "refuse", "start", &Choices::starts_unseen},
    Choice{"window", "auto", "never", &Choices::opens_windows},
};

constexpr std::string_view for_resources = "resources";

std::string in_quotes(std::string_view word) {
  return '"' + printable(word) + '"';
}

std::string known_keys(bool in_resource) {
  std::string keys;
  for (const Choice& each : choices)
    keys += (keys.empty() ? "" : ", ") + in_quotes(each.key);
  return in_resource ? keys : keys + ", " + in_quotes(for_resources);
}

/// Takes over one key. `where` is empty, or names the resource.
Result<void> take(Choices& taken, const std::string& key, const Json& value,
                  const std::string& where) {
  const auto* const choice = std::ranges::find(choices, key, &Choice::key);
  if (choice == choices.end())
    return failure(where + in_quotes(key) + " is unknown; there are " + known_keys(!where.empty()));
  const auto* word = value.get_ptr<const std::string*>();
  if (word == nullptr || (*word != choice->by_default && *word != choice->other))
    return failure(where + in_quotes(key) + " must be " + in_quotes(choice->by_default) + " or " +
                   in_quotes(choice->other));
  taken.*choice->choice = Choices{}.*choice->choice != (*word == choice->other);
  return {};
}

Result<void> take_resources(Config& config, const Json& resources) {
  if (!resources.is_object())
    return failure(in_quotes(for_resources) + " must have an object for each resource");
  for (const auto& [name, keys] : resources.items()) {
    const std::string where = in_quotes(for_resources) + ", " + in_quotes(name) + ": ";
    if (!is_resource_name(name))
      return failure(where + "that is no name of a DRBD resource");
    if (!keys.is_object())
      return failure(where + "it must be an object");
    Choices& taken = config.resources[name] = config.general;
    for (const auto& [key, value] : keys.items())
      if (auto done = take(taken, key, value, where); !done)
        return done;
  }
  return {};
}

}  // namespace

const Choices& Config::of(const std::string& resource) const {
  const auto own = resources.find(resource);
  return own == resources.end() ? general : own->second;
}

Result<Config> config_from_json(std::string_view text) {
  Json json;
  try {
    json = Json::parse(text, nullptr, true, true);
  } catch (const Json::exception& error) {
    return failure(in_words(error));
  }
  if (!json.is_object())
    return failure("it must be one JSON object");
  Config config;
  for (const auto& [key, value] : json.items())
    if (key != for_resources)
      if (auto done = take(config.general, key, value, ""); !done)
        return failure(done.error());
  if (const auto resources = json.find(for_resources); resources != json.end())
    if (auto done = take_resources(config, *resources); !done)
      return failure(done.error());
  return config;
}

Result<Config> read_config(const std::string& file) {
  const auto text = read_file(file);
  if (!text && text.error().code == ENOENT)
    return Config{};
  auto config = text ? config_from_json(*text) : Result<Config>(failure(text.error()));
  if (!config)
    return failure("the configuration " + file + " cannot be read: " + config.error().message +
                   ". Mend it, or move it away: without it all is as by default");
  config->is_set = true;
  return config;
}

}  // namespace block_drbd::config
