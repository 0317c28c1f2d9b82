#include "record/claim.h"

#include "record/json.h"

namespace block_drbd::record {

namespace {

constexpr int claim_version = 1;

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
  return text_of({
      {"version", claim_version},
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
      {"run", claim.run},
  });
}

Result<Claim> claim_from_json(std::string_view text) {
  return read_record<Claim>(text, claim_version, [](const nlohmann::json& json) -> Result<Claim> {
    const auto backend = xenstore::BackendPath::parse(json.at("backend").get<std::string>());
    if (!backend)
      return failure(backend.error());
    const auto phase = phase_from(json.at("phase").get<std::string>());
    if (!phase)
      return failure("its phase is unknown");
    return Claim{.backend = *backend,
                 .resource = json.at("resource").get<std::string>(),
                 .volume = number_of(json, "volume"),
                 .minor = number_of(json, "minor"),
                 .phase = *phase,
                 .leave_role = json.at("leave-role").get<bool>(),
                 .unanswered = json.at("unanswered").get<bool>(),
                 .incoming = json.at("incoming").get<bool>(),
                 .domain = json.at("domain").get<std::string>(),
                 .vm = json.at("vm").get<std::string>(),
                 .run = json.contains("run") ? number_of(json, "run") : 0};
  });
}

}  // namespace block_drbd::record
