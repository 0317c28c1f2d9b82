#include "xenstore/pipelined.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>

#include "xenstore/attempts.h"
#include "xenstore/one_by_one.h"
#include "xenstore/pipeline.h"
#include "xenstore/refused.h"

namespace block_drbd::xenstore {

namespace {

constexpr std::uint32_t no_transaction = 0;

/// xenstored takes a path up to its NUL.
std::string terminated(const std::string& path) {
  return {path.c_str(), std::strlen(path.c_str()) + 1};
}

/// "51712\0" "51728\0"
std::vector<std::string> names_from(const std::string& payload) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < payload.size(); begin += names.back().size() + 1)
    names.emplace_back(payload.c_str() + begin);
  return names;
}

class Pipelined final : public Store {
 public:
  explicit Pipelined(Pipeline pipeline) : pipeline_(std::move(pipeline)) {}

  Result<std::optional<std::string>> read(const std::string& path) override {
    return read_each({path}).front();
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    return list_each({path}).front();
  }

  std::vector<Result<std::optional<std::string>>> read_each(
      const std::vector<std::string>& paths) override {
    return ask_each<std::optional<std::string>>(XS_READ, "read", paths,
                                                [](const std::string& payload) { return payload; });
  }

  std::vector<Result<std::vector<std::string>>> list_each(
      const std::vector<std::string>& paths) override {
    auto lists = ask_each<std::vector<std::string>>(XS_DIRECTORY, "list", paths, names_from);
    for (std::size_t i = 0; i < lists.size(); ++i)
      if (!lists[i] && lists[i].error().code == E2BIG)
        lists[i] = list_in_parts(paths[i]);
    return lists;
  }

  Result<void> write(const std::string& path, const std::string& value) override {
    return write_each({{path, value}});
  }

  Result<void> write_each(const Values& values) override {
    std::vector<std::string> payloads;
    for (const auto& [path, value] : values)
      payloads.push_back(terminated(path) + value);
    const auto answers = pipeline_.ask(XS_WRITE, transaction_, payloads);
    for (std::size_t i = 0; i < values.size(); ++i)
      if (answers[i].error != 0)
        return refused("write", values[i].first, answers[i].error);
    return {};
  }

  bool domain_exists(DomId domain) override {
    const auto answer = ask(XS_IS_DOMAIN_INTRODUCED, no_transaction, std::to_string(domain));
    return answer.error != 0 || answer.payload.starts_with('T');
  }

  bool is_connected() const override { return pipeline_.is_connected(); }

  Result<void> transaction(const std::function<Result<void>()>& body) override {
    return until_committed(
        {.begin = [this] { return begin(); }, .end = [this](bool commit) { return end(commit); }},
        body);
  }

 private:
  Pipeline::Answer ask(xsd_sockmsg_type type, std::uint32_t transaction, const std::string& word) {
    return std::move(pipeline_.ask(type, transaction, {terminated(word)}).front());
  }

  int begin() {
    const auto answer = ask(XS_TRANSACTION_START, no_transaction, "");
    if (answer.error != 0)
      return answer.error;
    const char* text = answer.payload.c_str();
    const auto [stop, error] = std::from_chars(text, text + answer.payload.size(), transaction_);
    return error != std::errc() || transaction_ == no_transaction ? EIO : 0;
  }

  int end(bool commit) {
    return ask(XS_TRANSACTION_END, std::exchange(transaction_, no_transaction), commit ? "T" : "F")
        .error;
  }

  /// Where there is no such path, the answer is an empty one.
  template <typename Value, typename FromPayload>
  std::vector<Result<Value>> ask_each(xsd_sockmsg_type type, const char* doing,
                                      const std::vector<std::string>& paths,
                                      FromPayload from_payload) {
    std::vector<std::string> payloads;
    payloads.reserve(paths.size());
    std::ranges::transform(paths, std::back_inserter(payloads), terminated);
    std::vector<Result<Value>> values;
    values.reserve(paths.size());
    for (const Pipeline::Answer& answer : pipeline_.ask(type, transaction_, payloads)) {
      if (answer.error == 0)
        values.emplace_back(from_payload(answer.payload));
      else if (answer.error == ENOENT)
        values.emplace_back(Value());
      else
        values.emplace_back(refused(doing, paths[values.size()], answer.error));
    }
    return values;
  }

  /// Longer than one answer: thousands of domains, or of disks. libxenstore puts it together.
  static Result<std::vector<std::string>> list_in_parts(const std::string& path) {
    const auto store = connect_one_by_one();
    if (!store)
      return failure(store.error());
    return (*store)->list(path);
  }

  Pipeline pipeline_;
  std::uint32_t transaction_ = no_transaction;
};

}  // namespace

std::unique_ptr<Store> connect_pipelined() {
  auto pipeline = Pipeline::connect();
  return pipeline ? std::make_unique<Pipelined>(std::move(*pipeline)) : nullptr;
}

}  // namespace block_drbd::xenstore
