#include "drbd/drbdsetup.h"

#include <algorithm>
#include <cerrno>
#include <functional>

#include "drbd/overview.h"
#include "drbd/text.h"
#include "file.h"
#include "spec/disk_spec.h"

namespace block_drbd::drbd {

namespace {

/// The text of /proc/drbd; empty without DRBD in the kernel.
Result<std::string> text_or_nothing(Result<std::string> text) {
  if (!text && text.error().code == ENOENT)
    return "";
  return text;
}

/// Of a failure: its first line, or what else there is to tell.
std::string what_was_said(const process::Output& output) {
  std::string_view text = output.err;
  return text.empty() ? "exit code " + std::to_string(output.exit_code)
                      : printable(take_line(text));
}

/// Neither missing nor an option.
bool is_argument(std::string_view word) {
  return !word.empty() && word.front() != '-';
}

/// ENOENT from a tool is a missing tool, and nothing about the resource.
tl::unexpected<Error> not_enoent(const Error& error) {
  return failure(error.message, error.code == ENOENT ? 0 : error.code);
}

/// Follows `drbdsetup events2`. It may end at any time, as with its resource; then it is started
/// again, but once a wait at most.
class Events final : public Watch {
 public:
  using Start = std::function<Result<std::unique_ptr<process::Stream>>()>;

  Events(std::unique_ptr<process::Stream> stream, Start start)
      : stream_(std::move(stream)), start_(std::move(start)) {}

  void wait(Duration limit) override {
    if (stream_->has_ended())
      if (auto started = start_())
        stream_ = std::move(*started);
    stream_->wait(limit);
  }

 private:
  std::unique_ptr<process::Stream> stream_;
  Start start_;
};

class Drbdsetup final : public Drbd {
 public:
  Drbdsetup(process::Processes& processes, std::string proc_drbd)
      : processes_(processes), proc_drbd_(std::move(proc_drbd)) {}

  Result<Resource> status(const std::string& resource, Duration limit) override {
    const auto generation = this->generation();
    if (!generation)
      return failure(generation.error());
    if (*generation == Generation::Absent)
      return absent(resource);
    const bool json = *generation == Generation::V9;
    const auto output =
        processes_.run({"drbdsetup", "status", resource, json ? "--json" : "--verbose"}, limit);
    if (!output)
      return not_enoent(output.error());
    // Exit code 10: `RES: No such resource`, with an empty list or no text.
    auto resources = json ? read_status_json(output->out) : read_status_text(output->out);
    if (!resources && output->exit_code == 0)
      return failure("the state of DRBD resource " + resource +
                     " cannot be read: " + resources.error().message);
    if (output->exit_code != 0) {
      if (output->err.find("No such resource") != std::string::npos)
        return absent(resource);
      return failure("the state of DRBD resource " + resource +
                     " cannot be read: `drbdsetup status " + resource +
                     "` says: " + what_was_said(*output));
    }
    const auto found = std::find_if(resources->begin(), resources->end(),
                                    [&](const Resource& each) { return each.name == resource; });
    if (found == resources->end())  // it may be Primary all the same
      return failure("the state of DRBD resource " + resource +
                     " cannot be read: `drbdsetup status " + resource + "` does not tell of it");
    if (*generation == Generation::V8) {
      const auto proc = text_or_nothing(read_file(proc_drbd_));
      if (!proc)
        return failure(proc.error());
      add_from_proc({&*found, 1}, *proc);
    }
    return std::move(*found);
  }

  /// 8.4's /proc/drbd shows what the kernel has, and needs no tool.
  Result<Resource> status_again(const Resource& known, Duration limit) override {
    const auto proc = text_or_nothing(read_file(proc_drbd_));
    if (proc && read_generation(*proc) == Generation::V8)
      if (auto again = read_again(known, *proc))
        return std::move(*again);
    return status(known.name, limit);
  }

  Result<Settings> settings(const std::string& resource, Duration limit) override {
    const auto output = processes_.run({"drbdsetup", "show", resource, "--show-defaults"}, limit);
    if (!output)
      return failure(output.error());
    if (output->exit_code != 0)
      return failure("the settings of DRBD resource " + resource +
                     " cannot be read: " + what_was_said(*output));
    auto shown = read_show(output->out);
    if (!shown)
      return failure(shown.error());
    if (shown->size() != 1 || shown->front().resource != resource)
      return failure("DRBD tells no settings of resource " + resource + ": it is not up", ENOENT);
    Settings in_force = std::move(shown->front());
    return in_force;
  }

  Result<Answer> promote(const Resource& resource, const Volume& volume, Duration limit) override {
    return change("primary", resource, volume, limit);
  }

  Result<Answer> demote(const Resource& resource, const Volume& volume, Duration limit) override {
    return change("secondary", resource, volume, limit);
  }

  Result<Answer> set_two_primaries(const Resource& resource, const ConnectionSettings& connection,
                                   bool allowed, Duration limit) override {
    const auto generation = this->generation();
    if (!generation)
      return failure(generation.error());
    if (*generation == Generation::Absent)
      return absent(resource.name);
    std::vector<std::string> argv{"drbdsetup", "net-options"};
    if (*generation == Generation::V8) {
      if (!is_argument(connection.local_address) || !is_argument(connection.peer_address))
        return failure("DRBD tells no addresses of the connection of resource " + resource.name);
      argv.insert(argv.end(), {connection.local_address, connection.peer_address});
    } else {
      if (connection.node_id.value_or(-1) < 0)
        return failure("DRBD tells no node id of the peer " + connection.peer + " of resource " +
                       resource.name);
      argv.insert(argv.end(), {resource.name, std::to_string(*connection.node_id)});
    }
    argv.emplace_back(std::string("--allow-two-primaries=") + (allowed ? "yes" : "no"));
    const auto output = processes_.run(argv, limit);
    if (!output)
      return failure(output.error());
    return read_answer(output->exit_code, output->err);
  }

  Result<bool> configured_two_primaries(const std::string& resource, Duration limit) override {
    const auto output = processes_.run({"drbdadm", "dump", resource}, limit);
    if (!output)
      return failure(output.error());
    auto configured =
        output->exit_code == 0
            ? read_dump(output->out, resource)
            : failure("`drbdadm dump " + resource + "` says: " + what_was_said(*output));
    if (!configured)
      return failure("the configuration of DRBD resource " + resource +
                     " cannot be read: " + configured.error().message);
    return configured;
  }

  Result<Answer> connect(const Resource& resource, std::optional<int> node_id,
                         Duration limit) override {
    const auto generation = this->generation();
    if (!generation)
      return failure(generation.error());
    if (*generation == Generation::Absent)
      return absent(resource.name);
    std::vector<std::string> argv{"drbdadm", "connect", resource.name};
    if (*generation == Generation::V9) {
      if (node_id.value_or(-1) < 0)
        return failure("DRBD tells no node id of the peer of resource " + resource.name);
      argv.front() = "drbdsetup";
      argv.push_back(std::to_string(*node_id));
    }
    const auto output = processes_.run(argv, limit);
    if (!output)
      return failure(output.error());
    return read_answer(output->exit_code, output->err);
  }

  Result<std::unique_ptr<Watch>> watch(const std::string& resource) override {
    Events::Start start = [this, resource]() -> Result<std::unique_ptr<process::Stream>> {
      const auto generation = this->generation();
      if (!generation)
        return failure(generation.error());
      if (*generation == Generation::Absent)  // the tool would load it
        return absent(resource);
      auto started = processes_.follow({"drbdsetup", "events2", resource});
      if (!started)
        return not_enoent(started.error());
      return started;
    };
    auto stream = start();
    if (!stream)
      return failure(stream.error());
    return std::make_unique<Events>(std::move(*stream), std::move(start));
  }

  std::string why_not_up(const std::string& resource, Duration limit) override {
    if (const auto generation = this->generation(); generation && *generation == Generation::Absent)
      return "DRBD is not loaded in this node's kernel: run `modprobe drbd` and `drbdadm up " +
             resource + "`, and enable drbd.service so that it is up after a boot";
    const auto output = processes_.run({"drbdadm", "sh-resource", resource}, limit);
    if (output && output->exit_code == 0)
      return "DRBD resource " + resource +
             " is configured but not up on this node: run `drbdadm up " + resource + "`";
    // drbdadm for 8.4; the one for 9 makes no difference.
    if (output && output->err.find("is a stacked resource") != std::string::npos)
      return "DRBD resource " + resource +
             " is stacked on another one, and not up on this node. It can be up only where that "
             "one "
             "is Primary: see its name after stacked-on-top-of in `drbdadm dump " +
             resource +
             "`, and whether it is Primary on its other node, where the guest may run then. If "
             "not, "
             "run `drbdadm primary` for it and `drbdadm --stacked up " +
             resource + "` here";
    if (output && output->err.find("not defined in your config") != std::string::npos)
      return "there is no DRBD resource " + resource +
             " in this node's configuration: compare the name in the guest's disk line with "
             "`drbdadm sh-resources`";
    return "DRBD resource " + resource + " is not up on this node, and drbdadm cannot tell why (" +
           (output ? what_was_said(*output) : output.error().message) +
           "): mend that first, then run `drbdadm up " + resource + "`";
  }

 private:
  static tl::unexpected<Error> absent(const std::string& resource) {
    return failure("DRBD resource " + resource + " is not up on this node", ENOENT);
  }

  Result<Generation> generation() const {
    return text_or_nothing(read_beginning(proc_drbd_)).map([](const std::string& text) {
      return read_generation(text);
    });
  }

  Result<Answer> change(const char* command, const Resource& resource, const Volume& volume,
                        Duration limit) {
    const auto generation = this->generation();
    if (!generation)
      return failure(generation.error());
    const bool by_minor = *generation == Generation::V8;
    if (by_minor && volume.minor < 0)
      return failure("DRBD tells no minor for volume " + std::to_string(volume.number) +
                     " of resource " + resource.name);
    const auto output = processes_.run(
        {"drbdsetup", command, by_minor ? std::to_string(volume.minor) : resource.name}, limit);
    if (!output)
      return failure(output.error());
    return read_answer(output->exit_code, output->err);
  }

  process::Processes& processes_;
  std::string proc_drbd_;
};

}  // namespace

std::unique_ptr<Drbd> drbdsetup(process::Processes& processes, std::string proc_drbd) {
  return std::make_unique<Drbdsetup>(processes, std::move(proc_drbd));
}

}  // namespace block_drbd::drbd
