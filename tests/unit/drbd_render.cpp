#include "drbd_render.h"

#include <cerrno>
#include <sstream>
#include <stdexcept>

namespace block_drbd::test {

namespace {

using namespace drbd;

enum class Reader { StatusText, StatusJson, Show, Dump, ProcDrbd, Answer };

Reader reader_for(const std::string& command) {
  // Of several commands only the last one printed something.
  const std::string last = command.substr(command.find_last_of(';') + 1);
  std::istringstream words(last);
  std::string program, verb;
  words >> program >> verb;
  const bool json = last.find("--json") != std::string::npos;
  if (program == "cat" && verb == "/proc/drbd")
    return Reader::ProcDrbd;
  if (verb == "status")
    return json ? Reader::StatusJson : Reader::StatusText;
  if (verb == "show")
    return Reader::Show;
  if (verb == "dump")
    return Reader::Dump;
  if (verb == "primary" || verb == "secondary" || verb == "net-options")
    return Reader::Answer;
  throw std::runtime_error("no reader for the capture of `" + command + "`");
}

template <typename Value>
std::string error_or(const Result<Value>& result, std::string (*render_value)(const Value&)) {
  if (result)
    return render_value(*result);
  return "error" + (result.error().code ? ' ' + std::to_string(result.error().code) : "") + ": " +
         result.error().message + '\n';
}

std::string render_resources(const std::vector<Resource>& resources) {
  std::string text;
  for (const Resource& each : resources)
    text += render(each);
  return text.empty() ? "no resource\n" : text;
}

std::string render_settings(const Settings& settings) {
  std::ostringstream text;
  text << settings.resource << " quorum " << settings.quorum << " fencing " << settings.fencing
       << '\n';
  for (const ConnectionSettings& each : settings.connections) {
    text << "  connection ";
    if (!each.peer.empty())
      text << each.peer << ' ';
    if (each.node_id)
      text << "node-id " << *each.node_id << ' ';
    text << each.local_address << " to " << each.peer_address << " two-primaries "
         << (each.two_primaries ? "yes" : "no") << " protocol " << each.protocol << " fencing "
         << each.fencing << '\n';
  }
  return text.str();
}

}  // namespace

std::string render(const Resource& resource) {
  std::ostringstream text;
  text << resource.name << ' ' << to_string(resource.role)
       << (resource.suspended ? " suspended" : "") << '\n';
  for (const Volume& each : resource.volumes)
    text << "  volume " << each.number << " minor " << each.minor << ' ' << to_string(each.disk)
         << (each.quorum ? "" : " quorum-lost") << '\n';
  for (const Peer& peer : resource.peers) {
    text << "  peer " << peer.name;
    if (peer.node_id)
      text << " node-id " << *peer.node_id;
    text << ' ' << to_string(peer.connection) << ' ' << to_string(peer.role)
         << (is_settled(peer) ? " settled" : "") << '\n';
    for (const PeerVolume& each : peer.volumes)
      text << "    volume " << each.number << ' ' << to_string(each.replication) << ' '
           << to_string(each.disk) << '\n';
  }
  return text.str();
}

std::string render(const Result<std::vector<Resource>>& resources) {
  return error_or(resources, render_resources);
}

std::string render(const Result<Settings>& settings) {
  return error_or(settings, render_settings);
}

std::string render_dump(const Result<bool>& two_primaries) {
  return error_or<bool>(two_primaries, [](const bool& allowed) {
    return std::string("configured two-primaries ") + (allowed ? "yes" : "no") + '\n';
  });
}

Result<Settings> the_only(Result<std::vector<Settings>> shown) {
  if (!shown)
    return failure(shown.error());
  if (shown->size() != 1)
    return failure("DRBD has no such resource in the kernel: it is not up", ENOENT);
  return std::move(shown->front());
}

std::string render(const Answer& answer) {
  std::ostringstream text;
  text << "exit " << answer.exit_code;
  if (answer.code)
    text << " code " << *answer.code;
  if (!answer.text.empty())
    text << ": " << answer.text;
  text << '\n';
  return text.str();
}

std::string render_proc_drbd(std::string_view proc_drbd) {
  constexpr const char* names[] = {"absent", "8", "9"};
  std::ostringstream text;
  text << "generation " << names[static_cast<int>(read_generation(proc_drbd))] << '\n';
  for (const auto& [minor, role] : read_minor_roles(proc_drbd))
    text << "  minor " << minor << ' ' << to_string(role) << '\n';
  return text.str();
}

const std::string& text_to_read(const Capture& capture) {
  return reader_for(capture.command) == Reader::Answer ? capture.err : capture.out;
}

namespace {

std::string render_each(const Result<std::vector<Settings>>& shown) {
  if (!shown || shown->size() < 2)
    return render(the_only(shown));
  std::string text;
  for (const Settings& each : *shown)
    text += render(Result<Settings>(each));
  return text;
}

}  // namespace

std::string read_and_render(const Capture& capture, const std::string& text) {
  switch (reader_for(capture.command)) {
    case Reader::StatusText:
      return render(read_status_text(text));
    case Reader::StatusJson:
      return render(read_status_json(text));
    case Reader::Show:
      return render_each(read_show(text));
    case Reader::Dump:
      return render_dump(
          read_dump(text, capture.command.substr(capture.command.find_last_of(' ') + 1)));
    case Reader::ProcDrbd:
      return render_proc_drbd(text);
    case Reader::Answer:
      return render(read_answer(capture.exit_code, text));
  }
  return {};
}

}  // namespace block_drbd::test
