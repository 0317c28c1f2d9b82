#include "record/window.h"

#include "record/json.h"

namespace block_drbd::record {

namespace {

constexpr int window_version = 1;

}  // namespace

std::string to_json(const Window& window) {
  return text_of({
      {"version", window_version},
      {"resource", window.resource},
      {"peer", window.peer ? nlohmann::json(*window.peer) : nlohmann::json()},
      {"backend", window.backend.text()},
      {"found-open", window.found_open},
      {"unanswered", window.unanswered},
      {"arrived", window.arrived},
  });
}

Result<Window> window_from_json(std::string_view text) {
  return read_record<Window>(
      text, window_version, [](const nlohmann::json& json) -> Result<Window> {
        const auto backend = xenstore::BackendPath::parse(json.at("backend").get<std::string>());
        if (!backend)
          return failure(backend.error());
        return Window{.resource = json.at("resource").get<std::string>(),
                      .peer = json.at("peer").is_null() ? std::nullopt
                                                        : std::optional(number_of(json, "peer")),
                      .backend = *backend,
                      .found_open = json.at("found-open").get<bool>(),
                      .unanswered = json.at("unanswered").get<bool>(),
                      .arrived = json.at("arrived").get<bool>()};
      });
}

}  // namespace block_drbd::record
