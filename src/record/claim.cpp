#include "record/claim.h"

#include <nlohmann/json.hpp>

namespace block_drbd::record {

namespace {

constexpr int version = 1;

constexpr std::pair<Phase, std::string_view> phases[] = {
    {Phase::Promoting, "promoting"}, {Phase::Attached, "attached"}, {Phase::Released, "released"}};

std::string_view to_string(Phase phase) {
  for (const auto& [value, word] : phases)
    if (value == phase)
      return word;
  return "";
}

std::optional<Phase> phase_from(std::string_view text) {
  for (const auto& [value, word] : phases)
    if (word == text)
      return value;
  return std::nullopt;
}

}  // namespace

std::string to_json(const Claim& claim) {
  const nlohmann::json json = {
      {"version", version},
      {"backend", claim.backend.text()},
      {"resource", claim.resource},
      {"volume", claim.volume},
      {"minor", claim.minor},
      {"phase", to_string(claim.phase)},
      {"leave-role", claim.leave_role},
      {"unanswered", claim.unanswered},
      {"incoming", claim.incoming},
      {"domain", claim.domain},
      {"vm", claim.vm},
  };
  // A name is whatever bytes the toolstack was given: what is not UTF-8 must not stop us.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

Result<Claim> claim_from_json(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    if (json.at("version").get<int>() > version)
      return failure("it was written by a newer version of block-drbd");
    const auto backend = xenstore::BackendPath::parse(json.at("backend").get<std::string>());
    if (!backend)
      return failure(backend.error());
    const auto phase = phase_from(json.at("phase").get<std::string>());
    if (!phase)
      return failure("its phase is unknown");
    return Claim{.backend = *backend,
                 .resource = json.at("resource").get<std::string>(),
                 .volume = json.at("volume").get<int>(),
                 .minor = json.at("minor").get<int>(),
                 .phase = *phase,
                 .leave_role = json.at("leave-role").get<bool>(),
                 .unanswered = json.at("unanswered").get<bool>(),
                 .incoming = json.at("incoming").get<bool>(),
                 .domain = json.at("domain").get<std::string>(),
                 .vm = json.at("vm").get<std::string>()};
  } catch (const nlohmann::json::exception& error) {
    return failure(error.what());
  }
}

}  // namespace block_drbd::record
