// The floor: the same answer in the fewest steps, without any of what makes it safe: nobody else's
// use is looked for, nothing is locked or remembered, no tool is limited in time, and no peer is
// looked at after the promotion.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

extern "C" {
#include <xenstore.h>
}

namespace {

std::string run(const char* command, const std::string& argument) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    std::exit(1);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const char* argv[] = {"drbdsetup", command, argument.c_str(), nullptr};
  pid_t tool = -1;
  if (::posix_spawn(&tool, "/usr/sbin/drbdsetup", &actions, nullptr, const_cast<char**>(argv),
                    environ) != 0)
    std::exit(1);
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t size; (size = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  if (::waitpid(tool, &status, 0) != tool || status != 0)
    std::exit(1);
  return text;
}

void write(xs_handle* store, const std::string& path, const std::string& value) {
  if (!xs_write(store, XBT_NULL, path.c_str(), value.data(), static_cast<unsigned>(value.size())))
    std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  xs_handle* store = xs_open(0);
  const char* path = std::getenv("XENBUS_PATH");
  if (path == nullptr)
    return 2;
  const std::string backend = path;
  unsigned size = 0;
  const char* resource =
      static_cast<char*>(xs_read(store, XBT_NULL, (backend + "/params").c_str(), &size));
  if (argc < 2 || resource == nullptr)
    return 1;
  const std::string status = run("status", resource);
  const long minor = std::strtol(status.c_str() + status.find("minor:") + 6, nullptr, 10);
  if (std::strcmp(argv[1], "remove") == 0) {
    run("secondary", std::to_string(minor));
    return 0;
  }
  run("primary", std::to_string(minor));
  char device[32];
  static_cast<void>(std::snprintf(device, sizeof device, "93:%lx", minor));
  write(store, backend + "/physical-device-path", "/dev/drbd" + std::to_string(minor));
  write(store, backend + "/physical-device", device);
  write(store, backend + "/hotplug-status", "connected");
}
