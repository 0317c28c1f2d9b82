#include "record/held.h"

#include "record/json.h"

namespace block_drbd::record {

namespace {

constexpr int held_version = 1;

std::int64_t milliseconds(TimePoint time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

Result<TimePoint> time_from(const nlohmann::json& json) {
  // As far as the clock can count.
  constexpr auto last = std::chrono::floor<std::chrono::milliseconds>(TimePoint::max());
  if (!json.is_number_integer() || json < 0 || json > milliseconds(last))
    return failure("its time is none");
  return TimePoint(std::chrono::milliseconds(json.get<std::int64_t>()));
}

}  // namespace

std::string to_json(const Held& held) {
  return text_of({{"version", held_version},
                  {"resource", held.resource},
                  {"vm", held.vm},
                  {"until", milliseconds(held.until)}});
}

std::string to_json(const Outage& outage) {
  return text_of(
      {{"version", held_version}, {"peer", outage.peer}, {"until", milliseconds(outage.until)}});
}

Result<Held> held_from_json(std::string_view text) {
  return read_record<Held>(text, held_version, [](const nlohmann::json& json) {
    return time_from(json.at("until")).map([&](TimePoint until) {
      return Held{.resource = json.at("resource").get<std::string>(),
                  .vm = json.at("vm").get<std::string>(),
                  .until = until};
    });
  });
}

Result<Outage> outage_from_json(std::string_view text) {
  return read_record<Outage>(text, held_version, [](const nlohmann::json& json) {
    return time_from(json.at("until")).map([&](TimePoint until) {
      return Outage{.peer = json.at("peer").get<std::string>(), .until = until};
    });
  });
}

}  // namespace block_drbd::record
