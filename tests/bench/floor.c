// The floor: the same answer in the fewest steps, without any of what makes it safe: nobody else's
// use is looked for, nothing is locked or remembered, no tool is limited in time, and no peer is
// looked at after the promotion.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

static void run(const char* command, const char* argument, char* text, size_t size) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    exit(1);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const char* argv[] = {"drbdsetup", command, argument, NULL};
  pid_t tool = -1;
  if (posix_spawn(&tool, "/usr/sbin/drbdsetup", &actions, NULL, (char**)argv, environ) != 0)
    exit(1);
  close(ends[1]);
  size_t used = 0;
  for (ssize_t more; used < size - 1 && (more = read(ends[0], text + used, size - 1 - used)) > 0;)
    used += (size_t)more;
  text[used] = '\0';
  close(ends[0]);
  int status = 0;
  if (waitpid(tool, &status, 0) != tool || status != 0)
    exit(1);
}

static const char* path_of(const char* backend, const char* key) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", backend, key);
  return path;
}

static void answer(struct xs_handle* store, const char* backend, const char* key,
                   const char* value) {
  if (!xs_write(store, XBT_NULL, path_of(backend, key), value, (unsigned)strlen(value)))
    exit(1);
}

int main(int argc, char** argv) {
  struct xs_handle* store = xs_open(0);
  const char* backend = getenv("XENBUS_PATH");
  if (argc < 2 || store == NULL || backend == NULL)
    return 2;
  unsigned size = 0;
  const char* resource = xs_read(store, XBT_NULL, path_of(backend, "params"), &size);
  if (resource == NULL)
    return 1;
  static char text[65536];
  run("status", resource, text, sizeof text);
  const char* found = strstr(text, "minor:");
  if (found == NULL)
    return 1;
  const long minor = strtol(found + strlen("minor:"), NULL, 10);
  char number[32];
  snprintf(number, sizeof number, "%ld", minor);
  if (strcmp(argv[1], "remove") == 0) {
    run("secondary", number, text, sizeof text);
    return 0;
  }
  run("primary", number, text, sizeof text);
  char device[32];
  char node[64];
  snprintf(device, sizeof device, "93:%lx", minor);
  snprintf(node, sizeof node, "/dev/drbd%ld", minor);
  answer(store, backend, "physical-device-path", node);
  answer(store, backend, "physical-device", device);
  answer(store, backend, "hotplug-status", "connected");
}
