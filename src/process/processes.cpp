#include "process/processes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <optional>
#include <system_error>

// Boost 1.81 needs these before Process v2 when it is told to use std::filesystem.
#include <boost/optional.hpp>
#include <boost/type_traits.hpp>
#define BOOST_PROCESS_USE_STD_FS 1
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/process/v2/process.hpp>

#include "fd.h"
#include "process/start.h"

namespace block_drbd::process {

namespace {

namespace asio = boost::asio;
namespace v2 = boost::process::v2;
using boost::system::error_code;

constexpr std::size_t most_output = std::size_t{8} << 20;
/// How long a killed tool may take to die before it counts as stuck in the kernel.
constexpr Duration dying{500};

/// The end to write to of a pipe from which `pipe` reads.
Fd opened_for(asio::readable_pipe& pipe) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw std::system_error(errno, std::generic_category());
  Fd written(ends[1]);
  pipe.assign(ends[0]);
  return written;
}

/// What a tool says on stderr is lost where nobody reads it.
v2::process start(asio::io_context& context, const std::string& tool,
                  const std::vector<std::string>& argv, asio::readable_pipe& out,
                  asio::readable_pipe* err) {
  const Fd said = opened_for(out);
  const Fd complained = err != nullptr ? opened_for(*err) : Fd();
  const auto started = start_tool(tool, argv, said.get(), complained.get());
  if (!started)
    throw std::system_error(started.error().code, std::generic_category());
  try {
    return v2::process(context.get_executor(), *started);
  } catch (const std::exception&) {  // no memory, or no descriptor on this system
    ::kill(*started, SIGKILL);
    ::waitpid(*started, nullptr, 0);
    throw;
  }
}

/// Collects what comes out of one pipe.
class Reader {
 public:
  explicit Reader(asio::io_context& context) : pipe(context) {}

  void start() {
    pipe.async_read_some(asio::buffer(buffer_), [this](error_code error, std::size_t size) {
      text.append(buffer_.data(), std::min(size, most_output + 1 - text.size()));
      if (error)
        closed = true;
      else
        start();
    });
  }

  bool overflowed() const { return text.size() > most_output; }

  asio::readable_pipe pipe;
  std::string text;
  bool closed = false;

 private:
  std::array<char, 4096> buffer_{};
};

std::string joined(const std::vector<std::string>& argv) {
  std::string line;
  for (const std::string& word : argv)
    line += (line.empty() ? "" : " ") + word;
  return line;
}

template <typename Done>
void run_until(asio::io_context& context, Duration limit, Done done) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done() && context.run_one_until(end) > 0) {
  }
}

// Process v2 with timers of our own: v1's wait_for leans on SIGCHLD and loses races, v2 waits on a
// pidfd.
class ToolStream final : public Stream {
 public:
  ToolStream(const std::string& tool, const std::vector<std::string>& argv, int interruption)
      : interruption_(interruption), child_(start(context_, tool, argv, said_, nullptr)) {}
  ToolStream(const ToolStream&) = delete;
  ToolStream& operator=(const ToolStream&) = delete;
  ~ToolStream() override {
    if (!ended_)
      end();
  }

  void wait(Duration limit) override {
    const auto last = std::chrono::steady_clock::now() + limit;
    for (;;) {
      const auto left =
          std::chrono::ceil<Duration>(last - std::chrono::steady_clock::now()).count();
      std::array<pollfd, 2> descriptors{{
          {.fd = ended_ ? -1 : said_.native_handle(), .events = POLLIN, .revents = 0},
          {.fd = interruption_, .events = POLLIN, .revents = 0},
      }};
      const int ready = ::poll(descriptors.data(), descriptors.size(),
                               static_cast<int>(std::clamp<Duration::rep>(left, 0, INT_MAX)));
      if (ready == 0 || (ready > 0 && descriptors[1].revents != 0))
        return;
      if (ready > 0 && take())
        return;
    }
  }

  bool has_ended() const override { return ended_; }

 private:
  /// Takes off what was said. Its end alone is nothing said: whoever starts the tool again at once
  /// would do so without a pause where it says something and ends.
  bool take() {
    std::array<char, 16384> buffer;
    const ssize_t size = ::read(said_.native_handle(), buffer.data(), buffer.size());
    if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN))
      end();
    return size > 0;
  }

  void end() {
    ended_ = true;
    bool dead = false;
    child_.async_wait([&](error_code error, int /*exit_code*/) { dead = !error; });
    ::kill(child_.id(), SIGKILL);
    run_until(context_, dying, [&] { return dead; });
    if (!dead)
      child_.detach();  // its destructor would wait for ever
  }

  int interruption_;
  asio::io_context context_;
  asio::readable_pipe said_{context_};
  v2::process child_;
  bool ended_ = false;
};

class BoostProcesses final : public Processes {
 public:
  BoostProcesses(std::vector<std::string> directories, int interruption)
      : directories_(std::move(directories)), interruption_(interruption) {}

  Result<Output> run(const std::vector<std::string>& argv, Duration limit) override {
    return with_tool<Output>(argv,
                             [&](const std::string& tool) { return run_found(tool, argv, limit); });
  }

  Result<std::unique_ptr<Stream>> follow(const std::vector<std::string>& argv) override {
    return with_tool<std::unique_ptr<Stream>>(argv, [&](const std::string& tool) {
      return std::make_unique<ToolStream>(tool, argv, interruption_);
    });
  }

 private:
  template <typename Value, typename Use>
  Result<Value> with_tool(const std::vector<std::string>& argv, Use use) const {
    const auto tool = find(argv.front());
    if (!tool)
      return failure(
          "the tool " + argv.front() + " is not installed on this node, or cannot be executed",
          ENOENT);
    try {
      return use(*tool);
    } catch (const std::exception& error) {  // Boost: no pipe, no process, no memory
      return failure("cannot run `" + joined(argv) + "`: " + error.what(), EAGAIN);
    }
  }

  std::optional<std::string> find(const std::string& name) const {
    for (const std::string& directory : directories_) {
      std::string path = directory;
      path.append("/").append(name);
      if (::access(path.c_str(), X_OK) == 0)
        return path;
    }
    return std::nullopt;
  }

  Result<Output> run_found(const std::string& tool, const std::vector<std::string>& argv,
                           Duration limit) const {
    asio::io_context context;
    Reader out(context);
    Reader err(context);
    v2::process child = start(context, tool, argv, out.pipe, &err.pipe);
    out.start();
    err.start();

    bool ended = false;
    child.async_wait([&](error_code error, int /*exit_code*/) { ended = !error; });
    asio::posix::stream_descriptor asked_to_end(context);
    bool asked = false;
    if (interruption_ >= 0) {
      asked_to_end.assign(::dup(interruption_));
      asked_to_end.async_wait(asio::posix::descriptor_base::wait_read,
                              [&](error_code error) { asked = !error; });
    }

    const auto overflowed = [&] { return out.overflowed() || err.overflowed(); };
    run_until(context, limit, [&] { return ended || asked || overflowed(); });
    const bool in_time = ended;
    if (!ended) {
      ::kill(child.id(), SIGKILL);
      run_until(context, dying, [&] { return ended; });
    }
    if (!ended) {
      // Its destructor would wait for ever.
      child.detach();
      return failure("`" + joined(argv) +
                         "` hangs in the kernel and cannot be killed; it may still take effect",
                     ETIMEDOUT);
    }
    // The end may be seen before the last of the output. A grandchild may keep the pipes open.
    if (in_time)
      run_until(context, dying, [&] { return (out.closed && err.closed) || overflowed(); });
    if (overflowed())
      return failure("`" + joined(argv) + "` printed more than any answer of DRBD is long", EFBIG);
    if (!in_time)
      return failure("`" + joined(argv) + "` was stopped: " +
                         (asked ? "this program was asked to end"
                                : "no answer within " + std::to_string(limit.count()) + " ms"),
                     ETIMEDOUT);
    const int status = child.native_exit_code();
    return Output{.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                  .out = std::move(out.text),
                  .err = std::move(err.text)};
  }

  std::vector<std::string> directories_;
  int interruption_;
};

}  // namespace

std::unique_ptr<Processes> real_processes(std::vector<std::string> directories, int interruption) {
  return std::make_unique<BoostProcesses>(std::move(directories), interruption);
}

}  // namespace block_drbd::process
