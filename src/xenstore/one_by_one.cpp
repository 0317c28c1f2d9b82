#include "xenstore/one_by_one.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "xenstore/attempts.h"
#include "xenstore/refused.h"

extern "C" {
#include <xenstore.h>  // has no extern "C" of its own
}

namespace block_drbd::xenstore {

namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Malloced = std::unique_ptr<T, Free>;

struct Close {
  void operator()(xs_handle* handle) const { xs_close(handle); }
};
using Handle = std::unique_ptr<xs_handle, Close>;

class OneByOne final : public Store {
 public:
  explicit OneByOne(Handle handle) : handle_(std::move(handle)) {}

  Result<std::optional<std::string>> read(const std::string& path) override {
    unsigned int length = 0;
    const Malloced<char> value(
        static_cast<char*>(xs_read(handle_.get(), transaction_, path.c_str(), &length)));
    if (value)
      return std::string(value.get(), length);
    if (errno == ENOENT)
      return std::nullopt;
    return refused("read", path, errno);
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    unsigned int count = 0;
    const Malloced<char*> names(xs_directory(handle_.get(), transaction_, path.c_str(), &count));
    if (!names) {
      if (errno == ENOENT)
        return std::vector<std::string>();
      return refused("list", path, errno);
    }
    return std::vector<std::string>(names.get(), names.get() + count);
  }

  Result<void> write(const std::string& path, const std::string& value) override {
    if (!xs_write(handle_.get(), transaction_, path.c_str(), value.data(),
                  static_cast<unsigned>(value.size())))
      return refused("write", path, errno);
    return {};
  }

  bool domain_exists(DomId domain) override {
    errno = 0;
    return xs_is_domain_introduced(handle_.get(), domain) || errno != 0;
  }

  Result<void> transaction(const std::function<Result<void>()>& body) override {
    return until_committed({.begin =
                                [this] {
                                  transaction_ = xs_transaction_start(handle_.get());
                                  return transaction_ == XBT_NULL ? errno : 0;
                                },
                            .end =
                                [this](bool commit) {
                                  return xs_transaction_end(handle_.get(),
                                                            std::exchange(transaction_, XBT_NULL),
                                                            !commit)
                                             ? 0
                                             : errno;
                                }},
                           body);
  }

 private:
  Handle handle_;
  xs_transaction_t transaction_ = XBT_NULL;
};

}  // namespace

Result<std::unique_ptr<Store>> connect_one_by_one() {
  Handle handle(xs_open(0));
  if (!handle)
    return failure(std::string("cannot reach xenstored: ") + std::strerror(errno) +
                       ". Is this a Xen host, and is xenstored running (`pgrep -a xenstored`)?",
                   errno);
  return std::make_unique<OneByOne>(std::move(handle));
}

}  // namespace block_drbd::xenstore
