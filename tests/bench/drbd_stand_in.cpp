// drbdsetup and drbdadm, whichever it is called as, with /proc/drbd for all of DRBD 8.4: resource
// rN has one volume of minor N, its peer is connected and Secondary, and its role stands in
// /proc/drbd. Static and small, so that it takes next to nothing: what is measured is who calls it.
#include "drbd_stand_in.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

using namespace block_drbd::bench;

namespace {

const int proc_drbd = ::open("/proc/drbd", O_RDWR | O_CLOEXEC);

int resources_up() {
  return static_cast<int>((::lseek(proc_drbd, 0, SEEK_END) - header.size()) / minor_size);
}

off_t place_of_role(int minor) {
  return static_cast<off_t>(header.size() + minor * minor_size + before_role);
}

std::string role_of(int minor) {
  char word[role_size] = {};
  static_cast<void>(!::pread(proc_drbd, word, sizeof word, place_of_role(minor)));
  return word[0] == 'P' ? "Primary" : "Secondary";
}

int set_role(int minor, std::string_view role) {
  std::string word(role);
  word.append("/Secondary").resize(role_size, ' ');
  return ::pwrite(proc_drbd, word.data(), word.size(), place_of_role(minor)) ==
                 static_cast<ssize_t>(word.size())
             ? 0
             : 20;
}

std::string status(int minor) {
  const std::string number = std::to_string(minor);
  return "r" + number + " role:" + role_of(minor) + " suspended:no\n  volume:0 minor:" + number +
         " disk:UpToDate blocked:no\n"
         "  peer connection:Connected role:Secondary congested:no\n"
         "    volume:0 replication:Established peer-disk:UpToDate resync-suspended:no\n\n";
}

std::string settings(int minor) {
  const std::string number = std::to_string(minor);
  return "resource r" + number +
         " {\n    net {\n        ping-timeout    \t1; # 1/10 seconds\n    }\n"
         "    _remote_host {\n        address\t\t\tipv4 10.0.0.2:7790;\n    }\n"
         "    _this_host {\n        address\t\t\tipv4 10.0.0.1:7790;\n        volume 0 {\n"
         "            device\t\t\tminor " +
         number + ";\n        }\n    }\n}\n";
}

std::string of_each(std::string (*text)(int)) {
  std::string all;
  for (int minor = 0; minor < resources_up(); ++minor)
    all += text(minor);
  return all;
}

int say(const std::string& text) {
  for (std::size_t said = 0; said < text.size();) {
    const ssize_t size = ::write(STDOUT_FILENO, text.data() + said, text.size() - said);
    if (size < 0)
      return 20;
    said += static_cast<std::size_t>(size);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  const bool of_all = argc < 3 || argv[2][0] == '-';
  // The resource's name or, as 8.4's drbdsetup has it, its minor.
  const int minor =
      of_all ? -1 : static_cast<int>(std::strtol(argv[2] + (argv[2][0] == 'r'), nullptr, 10));
  if (minor >= resources_up())
    return 10;
  if (command == "status")
    return say(of_all ? of_each(status) : status(minor));
  if (command == "show")
    return say(of_all ? of_each(settings) : settings(minor));
  if (command == "sh-resources")
    return say(of_each([](int each) { return "r" + std::to_string(each) + '\n'; }));
  if (command == "role")
    return say(role_of(minor) + "/Secondary\n");
  if (command == "sh-dev")
    return say("/dev/drbd" + std::to_string(minor) + '\n');
  if (command == "primary")
    return set_role(minor, "Primary");
  if (command == "secondary")
    return set_role(minor, "Secondary");
  return 20;
}
