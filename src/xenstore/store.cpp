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

tl::unexpected<Error> refused(const std::string& doing, const std::string& path, int code = errno) {
  return failure("xenstore: cannot " + doing + " " + path + ": " + std::strerror(code), code);
}

/// "51712\0" "51728\0"
std::vector<std::string> names_from(const std::string& payload) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < payload.size(); begin += names.back().size() + 1)
    names.emplace_back(payload.c_str() + begin);
  return names;
}

class Libxenstore final : public Store {
 public:
  Libxenstore(Handle handle, std::optional<Pipeline> pipeline)
      : handle_(std::move(handle)), pipeline_(std::move(pipeline)) {}

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

  std::vector<Result<std::optional<std::string>>> read_each(
      const std::vector<std::string>& paths) override {
    if (!has_pipeline())
      return Store::read_each(paths);
    return ask_each<std::optional<std::string>>(Pipeline::Question::Read, "read", paths,
                                                [](const std::string& payload) { return payload; });
  }

  std::vector<Result<std::vector<std::string>>> list_each(
      const std::vector<std::string>& paths) override {
    if (!has_pipeline())
      return Store::list_each(paths);
    auto lists =
        ask_each<std::vector<std::string>>(Pipeline::Question::List, "list", paths, names_from);
    for (std::size_t i = 0; i < lists.size(); ++i)
      if (!lists[i] && lists[i].error().code == E2BIG)  // in several parts
        lists[i] = list(paths[i]);
    return lists;
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
  /// Where there is no such path, the answer is an empty one.
  template <typename Value, typename FromPayload>
  std::vector<Result<Value>> ask_each(Pipeline::Question question, const char* doing,
                                      const std::vector<std::string>& paths,
                                      FromPayload from_payload) {
    std::vector<Result<Value>> values;
    values.reserve(paths.size());
    for (const Pipeline::Answer& answer : pipeline_->ask(question, paths)) {
      if (answer.error == 0)
        values.emplace_back(from_payload(answer.payload));
      else if (answer.error == ENOENT)
        values.emplace_back(Value());
      else
        values.emplace_back(refused(doing, paths[values.size()], answer.error));
    }
    return values;
  }

  /// What a transaction reads must go its way.
  bool has_pipeline() const { return transaction_ == XBT_NULL && pipeline_; }

  Handle handle_;
  xs_transaction_t transaction_ = XBT_NULL;
  std::optional<Pipeline> pipeline_;
};

}  // namespace

std::vector<Result<std::optional<std::string>>> Store::read_each(
    const std::vector<std::string>& paths) {
  std::vector<Result<std::optional<std::string>>> values;
  values.reserve(paths.size());
  for (const std::string& path : paths)
    values.push_back(read(path));
  return values;
}

std::vector<Result<std::vector<std::string>>> Store::list_each(
    const std::vector<std::string>& paths) {
  std::vector<Result<std::vector<std::string>>> lists;
  lists.reserve(paths.size());
  for (const std::string& path : paths)
    lists.push_back(list(path));
  return lists;
}

Result<std::unique_ptr<Store>> connect(std::optional<Pipeline> pipeline) {
  Handle handle(xs_open(0));
  if (!handle)
    return failure(std::string("cannot reach xenstored: ") + std::strerror(errno) +
                       ". Is this a Xen host, and is xenstored running (`pgrep -a xenstored`)?",
                   errno);
  return std::make_unique<Libxenstore>(std::move(handle), std::move(pipeline));
}

}  // namespace block_drbd::xenstore
