#include "command_line.h"

#include <boost/program_options.hpp>
#include <sstream>

#include "spec/disk_spec.h"

namespace options = boost::program_options;

namespace {

options::options_description visible_options() {
  options::options_description visible("Options");
  visible.add_options()("help,h", "print this text")("version,V", "print the version");
  return visible;
}

}  // namespace

block_drbd::Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  options::options_description all;
  all.add(visible_options())
      .add_options()("verb", options::value<std::string>())("resource",
                                                            options::value<std::string>());
  options::positional_options_description positional;
  positional.add("verb", 1).add("resource", 1);

  options::variables_map values;
  try {
    options::store(
        options::command_line_parser(arguments).options(all).positional(positional).run(), values);
  } catch (const options::error& error) {
    return block_drbd::failure(error.what());
  }
  if (values.contains("help"))
    return CommandLine{.verb = Verb::Help, .resource = {}};
  if (values.contains("version"))
    return CommandLine{.verb = Verb::Version, .resource = {}};
  const auto word = [&](const char* name) {
    return values.contains(name) ? values[name].as<std::string>() : "";
  };
  const std::string verb = word("verb");
  if (verb == "add" || verb == "remove") {
    if (values.contains("resource"))
      return block_drbd::failure("'" + verb + "' stands alone; XENBUS_PATH names the disk");
    return CommandLine{.verb = verb == "add" ? Verb::Add : Verb::Remove, .resource = {}};
  }
  if (verb == "keep") {
    const std::string resource = word("resource");
    if (!block_drbd::is_resource_name(resource))
      return block_drbd::failure(
          "'keep' needs the name of a DRBD resource" +
          (resource.empty() ? "" : ", and '" + block_drbd::printable(resource) + "' is none"));
    return CommandLine{.verb = Verb::Keep, .resource = resource};
  }
  return block_drbd::failure(verb.empty() ? "say what to do: add or remove"
                                          : "'" + block_drbd::printable(verb) + "' is unknown");
}

std::string usage() {
  std::ostringstream text;
  text << "Usage: block-drbd add | remove\n"
          "\n"
          "Xen's toolstack (xl, libxl, xend) runs this for each disk of a guest that is a DRBD\n"
          "resource, such as disk = [ 'drbd:Wheezy,xvda,w' ], with XENBUS_PATH naming the disk's\n"
          "backend in xenstore.\n"
          "\n"
          "  add      make the resource Primary on this node and hand its device to the guest\n"
          "  remove   make it Secondary again when no guest here uses it any more\n"
          "  keep     (with a resource) run by this program itself, for what may take longer\n"
          "\n"
       << visible_options()
       << "\n"
          "Exit status: 0 done, 1 failed (the reason is on stderr, in the system log and, for xl,\n"
          "in the backend's hotplug-error), 2 wrong usage.\n";
  return text.str();
}
