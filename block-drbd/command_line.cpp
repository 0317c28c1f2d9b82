#include "command_line.h"

#include <boost/program_options.hpp>
#include <sstream>

#include "spec/disk_spec.h"

namespace options = boost::program_options;

using block_drbd::failure;
using block_drbd::Result;

namespace {

options::options_description visible_options() {
  options::options_description visible("Options");
  visible.add_options()("help,h", "print this text")("version,V", "print the version");
  return visible;
}

options::options_description test_options() {
  options::options_description test("Options of test");
  test.add_options()("all,a", "say of every disk what would happen, not only of those that fail")(
      "json", "for programs")("monitoring", "one line and exit codes for Nagios and its like")(
      "verbose,v", "add each command that was run, with its answer");
  return test;
}

Result<CommandLine> test_command(const options::variables_map& values,
                                 std::vector<std::string> asked) {
  CommandLine command{.verb = Verb::Test,
                      .asked = std::move(asked),
                      .form = Form::Words,
                      .every_verdict = values.contains("all"),
                      .tells_commands = values.contains("verbose")};
  if (values.contains("json"))
    command.form = Form::Json;
  if (values.contains("monitoring"))
    command.form = Form::Monitoring;
  const int forms = static_cast<int>(values.count("json") + values.count("monitoring"));
  if (forms > 1 || (forms == 1 && (command.every_verdict || command.tells_commands)))
    return failure("--json and --monitoring stand alone");
  return command;
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  options::options_description all;
  all.add(visible_options())
      .add(test_options())
      .add_options()("words", options::value<std::vector<std::string>>()->default_value({}, ""));
  options::positional_options_description positional;
  positional.add("words", -1);

  options::variables_map values;
  try {
    options::store(
        options::command_line_parser(arguments).options(all).positional(positional).run(), values);
  } catch (const options::error& error) {
    return failure(block_drbd::printable(error.what()));
  }
  if (values.contains("help"))
    return CommandLine{.verb = Verb::Help};
  if (values.contains("version"))
    return CommandLine{.verb = Verb::Version};
  auto words = values["words"].as<std::vector<std::string>>();
  if (words.empty() || words.front().empty())
    return failure("say what to do: add, remove, gone, keep, heal or test");
  const std::string verb = words.front();
  words.erase(words.begin());
  if (verb == "test")
    return test_command(values, std::move(words));
  for (const char* option : {"all", "json", "monitoring", "verbose"})
    if (values.contains(option))
      return failure("--" + std::string(option) + " is an option of test");
  if (verb == "heal") {
    if (!words.empty())
      return failure("'heal' stands alone; it is for all resources of the node");
    return CommandLine{.verb = Verb::Heal};
  }
  if (verb == "add" || verb == "remove" || verb == "gone") {
    if (!words.empty())
      return failure("'" + verb + "' stands alone; XENBUS_PATH names the disk");
    return CommandLine{.verb = verb == "add"      ? Verb::Add
                               : verb == "remove" ? Verb::Remove
                                                  : Verb::Gone};
  }
  if (verb == "keep") {
    if (words.size() > 1)
      return failure("'keep' is for one resource");
    const std::string resource = words.empty() ? "" : words.front();
    if (!block_drbd::is_resource_name(resource))
      return failure(
          "'keep' needs the name of a DRBD resource" +
          (resource.empty() ? "" : ", and '" + block_drbd::printable(resource) + "' is none"));
    return CommandLine{.verb = Verb::Keep, .resource = resource};
  }
  return failure("'" + block_drbd::printable(verb) + "' is unknown");
}

std::string usage() {
  std::ostringstream text;
  text
      << "Usage: block-drbd add | remove | gone\n"
         "       block-drbd test [OPTION]... [DISK | GUEST.cfg]...\n"
         "       block-drbd keep RESOURCE\n"
         "       block-drbd heal\n"
         "\n"
         "Xen's toolstack (xl, libxl, xend) runs this for each disk of a guest that is a DRBD\n"
         "resource, such as disk = [ 'drbd:Wheezy,xvda,w' ], with XENBUS_PATH naming the disk's\n"
         "backend in xenstore.\n"
         "\n"
         "  add      make the resource Primary on this node and hand its device to the guest\n"
         "  remove   make it Secondary again when no guest here uses it any more\n"
         "  gone     run by udev when the kernel has let go of a guest's disk\n"
         "  keep     run by this program itself: close a hand-over, or give back a role held open\n"
         "  heal     run by block-drbd-heal.service: connect nodes again that a loss of power "
         "during\n"
         "           a migration has parted\n"
         "  test     say whether disks would work here, and what is wrong; changes nothing. DISK:\n"
         "           Wheezy, drbd:Wheezy/1, or a whole disk line; without any, the whole node\n"
         "\n"
      << visible_options() << '\n'
      << test_options()
      << "\n"
         "Exit status: 0 done, 1 failed (the reason is on stderr, in the system log and, for xl,\n"
         "in the backend's hotplug-error), 2 wrong usage. Of test: 0 everything would work, 1 not\n"
         "everything would, or something is wrong, 2 wrong usage or an unreadable configuration;\n"
         "with --monitoring: 0 fine, 1 a resync will mend it, 2 not fine, 3 unknown.\n";
  return text.str();
}
