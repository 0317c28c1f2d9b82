#include "drbd/json.h"
#include "drbd/net_option.h"
#include "drbd/readers.h"

namespace block_drbd::drbd {

namespace {

constexpr std::string_view show_as_json = "drbdsetup show --json";

/// The value of an option in the words of the text form.
std::string option_text(const Json& value) {
  if (value.is_boolean())
    return value == true ? "yes" : "no";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// "ipv4 10.9.0.1:7000" as drbdsetup takes it: "ipv4:10.9.0.1:7000".
std::string address_from(std::string_view shown) {
  std::string address(shown);
  if (const auto blank = address.find(' '); blank != std::string::npos)
    address[blank] = ':';
  return address;
}

/// An end of a path as drbd-utils from 9.29 on print it, in three parts.
std::string endpoint(const Json& end) {
  const auto port = number_of(end, "port");
  if (!port)
    return {};
  const std::string family(text_of(end, "family"));
  const std::string address(text_of(end, "address"));
  return family + ':' + (family == "ipv6" ? '[' + address + ']' : address) + ':' +
         std::to_string(*port);
}

void read_addresses(ConnectionSettings& connection, const Json& json) {
  if (const Json& paths = member(json, "paths"); is_list(paths) && !paths.empty()) {
    connection.local_address = endpoint(member(paths.front(), "this_host"));
    connection.peer_address = endpoint(member(paths.front(), "remote_host"));
  } else {
    const Json& path = member(json, "path");
    connection.local_address = address_from(text_of(path, "_this_host"));
    connection.peer_address = address_from(text_of(path, "_remote_host"));
  }
}

Result<ConnectionSettings> read_connection(const Json& json) {
  ConnectionSettings connection;
  connection.node_id = number_of(json, "_peer_node_id");
  read_addresses(connection, json);
  const Json& options = member(json, "net");
  if (!options.is_null() && !options.is_object())
    return not_understood(show_as_json, "net");
  for (const auto& [name, value] : options.items())
    if (!set_net_option(connection, name, option_text(value)))
      return not_understood(show_as_json, name + ": " + option_text(value));
  return connection;
}

Result<Settings> read_settings_of_resource(const Json& json) {
  Settings settings;
  settings.resource = text_of(json, "resource");
  const Json& options = member(json, "options");
  if (const Json& quorum = member(options, "quorum"); !quorum.is_null())
    settings.quorum = option_text(quorum);
  const Json& connections = member(json, "connections");
  if (!is_list(connections))
    return not_understood(show_as_json, "connections");
  auto read = read_each(connections, read_connection);
  if (!read)
    return failure(std::move(read.error()));
  settings.connections = std::move(*read);
  return settings;
}

}  // namespace

Result<std::vector<Settings>> read_show_json(std::string_view text) {
  const auto list = read_list(show_as_json, text);
  if (!list)
    return failure(list.error());
  return read_each(*list, read_settings_of_resource);
}

}  // namespace block_drbd::drbd
