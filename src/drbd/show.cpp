// The text of `drbdsetup show`: sections, and in them settings that end with a semicolon. DRBD 8.4:
//
//   resource r0 {
//       net { protocol C; allow-two-primaries no; # default
//       }
//       _remote_host { address ipv4 10.0.0.2:7790; }
//       _this_host { address ipv4 10.0.0.1:7790; volume 0 { disk { fencing dont-care; } } }
//   }
//
// with neither `net` nor addresses while it is StandAlone. DRBD 9 (its JSON is not JSON where a
// shared-secret has quotes or backslashes in it) has a section for each connection:
//
//   resource "r0" {
//       options { quorum off; }
//       connection {
//           _peer_node_id 1;
//           path { _this_host ipv4 10.9.0.1:7000; _remote_host ipv4 10.9.0.2:7000; }
//           net { protocol C; allow-two-primaries no; fencing dont-care; _name "node2"; }
//       }
//   }
#include "drbd/readers.h"
#include "drbd/text.h"

namespace block_drbd::drbd {

namespace {

/// How far a fencing policy goes.
int strength(std::string_view fencing) {
  return fencing == "resource-and-stonith" ? 2 : fencing == "resource-only" ? 1 : 0;
}

bool set_number(int& target, std::string_view value) {
  const auto number = number_from(value);
  target = number.value_or(target);
  return number.has_value();
}

/// Takes over one option of a connection; one that is of no interest is passed over. False: its
/// value is not one that DRBD has for it.
bool set_net_option(ConnectionSettings& connection, std::string_view name, std::string_view value) {
  if (name == "allow-two-primaries") {
    connection.two_primaries = value == "yes";
    return value == "yes" || value == "no";
  }
  if (name == "protocol") {
    if (value != "A" && value != "B" && value != "C")
      return false;
    connection.protocol = value.front();
  } else if (name == "fencing") {
    connection.fencing = value;
  } else if (name == "_name") {
    connection.peer = value;
  }
  return true;
}

class ShowReader {
 public:
  Result<std::vector<Settings>> read(const std::string_view shown) {
    std::string_view text = shown;
    std::string_view start;  // of the statement that is being read, for the message
    for (skip_blanks_and_comments(text); !text.empty(); skip_blanks_and_comments(text)) {
      if (words_.empty())
        start = text;
      const char kind = text.front();
      const std::string_view token = take_token(text);
      if (kind != '{' && kind != '}' && kind != ';') {
        words_.push_back(token);
        continue;
      }
      if (!(kind == '{' ? open() : kind == '}' ? close() : set()))
        return line_not_understood("drbdsetup show", shown, start);
      words_.clear();
    }
    if (!section_.empty() || !words_.empty())
      return broke_off("drbdsetup show");
    return std::move(resources_);
  }

 private:
  bool open() {
    if (words_.empty() || words_.front().find('/') != std::string_view::npos)
      return false;
    section_ += '/';
    section_ += words_.front();
    if (!section_.starts_with("/resource"))
      return false;
    if (section_ == "/resource") {
      resources_.emplace_back().resource = word(1);
      return !word(1).empty();
    }
    if (section_ == "/resource/connection")
      settings().connections.emplace_back();
    else if (section_ == "/resource/_this_host/volume")
      return set_number(settings().volumes.emplace_back().number, word(1));
    else if (section_ == "/resource/_this_host/volume/disk")
      fencing_of_disks_.emplace_back();
    return true;
  }

  bool close() {
    if (!words_.empty() || section_.empty())
      return false;
    section_.resize(section_.find_last_of('/'));
    if (section_.empty())
      take_over_fencing_of_disks();
    return true;
  }

  bool set() {
    if (words_.empty())
      return false;
    const std::string_view name = words_.front();
    if (section_ == "/resource/connection/net" || section_ == "/resource/net")
      return set_net_option(connection(), name, word(1));
    if (section_ == "/resource/connection" && name == "_peer_node_id") {
      connection().node_id = number_from(word(1));
      return connection().node_id.has_value();
    }
    const bool own_end = (section_ == "/resource/connection/path" && name == "_this_host") ||
                         (section_ == "/resource/_this_host" && name == "address");
    const bool peers_end = (section_ == "/resource/connection/path" && name == "_remote_host") ||
                           (section_ == "/resource/_remote_host" && name == "address");
    if (own_end)
      take_address(connection().local_address);
    else if (peers_end)
      take_address(connection().peer_address);
    else if (section_ == "/resource/options" && name == "quorum")
      settings().quorum = word(1);
    else if (section_ == "/resource/_this_host/volume" && name == "device" && word(1) == "minor")
      return set_number(settings().volumes.back().minor, word(2));
    else if (section_ == "/resource/_this_host/volume/disk" && name == "fencing")
      fencing_of_disks_.back() = word(1);
    return true;
  }

  /// DRBD 8.4 has the policy with each disk. A resource is fenced no better than its weakest disk.
  void take_over_fencing_of_disks() {
    const auto weakest = std::ranges::min_element(fencing_of_disks_, {}, strength);
    if (weakest != fencing_of_disks_.end() && !weakest->empty()) {
      settings().fencing = *weakest;
      for (ConnectionSettings& each : settings().connections)
        each.fencing = *weakest;
    }
    fencing_of_disks_.clear();
  }

  /// Of the resource that is being read. There is one: nothing is read outside of them.
  Settings& settings() { return resources_.back(); }

  /// The connection that is being read: on DRBD 8.4 there is one, without a section of its own.
  ConnectionSettings& connection() {
    return settings().connections.empty() ? settings().connections.emplace_back()
                                          : settings().connections.back();
  }

  /// "ipv4 10.0.0.1:7790" as drbdsetup takes it: "ipv4:10.0.0.1:7790". Of several paths, the first.
  void take_address(std::string& end) const {
    if (end.empty())
      end = std::string(word(1)) + ':' + std::string(word(2));
  }

  std::string_view word(std::size_t index) const {
    return index < words_.size() ? words_[index] : std::string_view();
  }

  std::vector<Settings> resources_;
  std::string section_;  ///< where we are, as "/resource/connection/net"
  std::vector<std::string_view> words_;
  std::vector<std::string> fencing_of_disks_;
};

}  // namespace

Result<std::vector<Settings>> read_show(std::string_view text) {
  return ShowReader().read(text);
}

}  // namespace block_drbd::drbd
