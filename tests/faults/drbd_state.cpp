#include "drbd_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "fd.h"
#include "file.h"

namespace block_drbd::faults {

std::string proc_drbd(const DrbdState& state) {
  std::string text =
      "version: 8.4.11 (api:1/proto:86-101)\n"
      "srcversion: 059B1B470318F053F5077D5 \n";
  const auto role = [](bool primary) { return primary ? "Primary" : "Secondary"; };
  if (state.is_up) {
    text += " 0: cs:";
    text += state.is_connected ? "Connected" : "WFConnection";
    text += std::string(" ro:") + role(state.is_primary) + '/' +
            (state.is_connected ? role(state.peer_is_primary) : "Unknown");
    text += std::string(" ds:UpToDate/") + (state.is_connected ? "UpToDate" : "DUnknown") +
            " C r-----\n"
            "    ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n";
  }
  for (const auto& [what, is_so] : {std::pair("up", state.is_up),
                                    {"primary", state.is_primary},
                                    {"peer-primary", state.peer_is_primary},
                                    {"connected", state.is_connected},
                                    {"two-primaries", state.two_primaries},
                                    {"open", state.is_open}})
    if (is_so)
      text += std::string("    is-") + what;
  return text + '\n';
}

DrbdState state_from(const std::string& proc_drbd) {
  const auto is = [&](const char* what) {
    return proc_drbd.find(std::string("    is-") + what) != std::string::npos;
  };
  return {.is_up = is("up"),
          .is_primary = is("primary"),
          .peer_is_primary = is("peer-primary"),
          .is_connected = is("connected"),
          .two_primaries = is("two-primaries"),
          .is_open = is("open")};
}

DrbdState DrbdFile::read() const {
  return state_from(read_file(path_).value_or(""));
}

void DrbdFile::change(const std::function<void(DrbdState&)>& how) const {
  const Fd lock(::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ::flock(lock.get(), LOCK_EX);
  const DrbdState before = read();
  DrbdState state = before;
  how(state);
  if (state == before)
    return;  // nothing that DRBD would tell of
  const std::string text = proc_drbd(state);
  const std::string draft = path_ + ".new";
  const Fd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      std::rename(draft.c_str(), path_.c_str()) != 0)
    std::abort();
}

}  // namespace block_drbd::faults
