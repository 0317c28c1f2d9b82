#include "xenstore/store.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

extern "C" {
#include <xenstore.h>  // has no extern "C" of its own
}

namespace block_drbd::xenstore {

namespace {

/// Others win a transaction now and then; that they win this often means that something is wrong.
constexpr int most_attempts = 20;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Malloced = std::unique_ptr<T, Free>;

struct Close {
  void operator()(xs_handle* handle) const { xs_close(handle); }
};
using Handle = std::unique_ptr<xs_handle, Close>;

tl::unexpected<Error> refused(const std::string& doing, const std::string& path) {
  const int code = errno;
  return failure("xenstore: cannot " + doing + " " + path + ": " + std::strerror(code), code);
}

class Libxenstore final : public Store {
 public:
  explicit Libxenstore(Handle handle) : handle_(std::move(handle)) {}

  Result<std::optional<std::string>> read(const std::string& path) override {
    unsigned int length = 0;
    const Malloced<char> value(
        static_cast<char*>(xs_read(handle_.get(), transaction_, path.c_str(), &length)));
    if (value)
      return std::string(value.get(), length);
    if (errno == ENOENT)
      return std::nullopt;
    return refused("read", path);
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    unsigned int count = 0;
    const Malloced<char*> names(xs_directory(handle_.get(), transaction_, path.c_str(), &count));
    if (!names) {
      if (errno == ENOENT)
        return std::vector<std::string>();
      return refused("list", path);
    }
    return std::vector<std::string>(names.get(), names.get() + count);
  }

  Result<void> write(const std::string& path, const std::string& value) override {
    if (!xs_write(handle_.get(), transaction_, path.c_str(), value.data(),
                  static_cast<unsigned>(value.size())))
      return refused("write", path);
    return {};
  }

  bool domain_exists(DomId domain) override {
    errno = 0;
    return xs_is_domain_introduced(handle_.get(), domain) || errno != 0;
  }

  Result<void> transaction(const std::function<Result<void>()>& body) override {
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
      transaction_ = xs_transaction_start(handle_.get());
      if (transaction_ == XBT_NULL)
        return refused("start a transaction for", "the backend");
      Result<void> done = body();
      const bool committed =
          xs_transaction_end(handle_.get(), std::exchange(transaction_, XBT_NULL), !done);
      if (!done)
        return done;
      if (committed)
        return {};
      if (errno != EAGAIN)
        return refused("commit", "the backend");
    }
    return failure("xenstore: others changed the same data " + std::to_string(most_attempts) +
                       " times in a row; gave up writing",
                   EAGAIN);
  }

 private:
  Handle handle_;
  xs_transaction_t transaction_ = XBT_NULL;
};

}  // namespace

Result<std::unique_ptr<Store>> connect() {
  Handle handle(xs_open(0));
  if (!handle)
    return failure(std::string("cannot reach xenstored: ") + std::strerror(errno) +
                       ". Is this a Xen host, and is xenstored running (`pgrep -a xenstored`)?",
                   errno);
  return std::make_unique<Libxenstore>(std::move(handle));
}

}  // namespace block_drbd::xenstore
