// A store at rest as a Target.
#include <fmt/format.h>

#include "memory/journal/sqlite_store.h"
#include "runtime/cli/connect/target.h"
#include "runtime/history/store_queries.h"

namespace weft::cli {
namespace {

constexpr std::size_t kPageBytes = std::size_t{1} << 20;

class Archive final : public Target {
 public:
  Archive(std::string store, std::unique_ptr<history::Queries> queries)
      : store_(std::move(store)), queries_(std::move(queries)) {}

  Result<v1::RunsWaitResponse> wait(const v1::RunsWaitRequest& request) override {
    WEFT_TRY(auto run, find_run(request.run_id()));
    if (run.ended_at_us() == 0) return stands_still(run);
    v1::RunsWaitResponse response;
    *response.mutable_run() = std::move(run);
    return response;
  }

  Status watch(const v1::RunsWatchRequest& request, const OnMessage& on_message) override {
    WEFT_TRY(const auto run, find_run(request.run_id()));
    v1::RunsWatchResponse message;
    std::uint64_t next = std::max<std::uint64_t>(1, request.from_seq());
    while (next <= run.last_seq()) {
      WEFT_TRY(const auto page, queries_->events(run.id(), next, kPageBytes));
      if (page.empty()) break;
      for (const auto& event : page) {
        *message.mutable_event() = event;
        next = event.seq() + 1;
        if (on_message(message) == Go::kStop) return {};
      }
    }
    if (run.ended_at_us() == 0) return stands_still(run);
    *message.mutable_ended() = run;
    on_message(message);
    return {};
  }

  Result<std::string> content(const std::string&, const std::string& sha256) override {
    WEFT_TRY(const auto bytes, queries_->content(sha256));
    return *bytes;
  }

  void interrupt() override {}

 private:
  Status send(const google::protobuf::Message&, google::protobuf::Message&) override {
    return unavailable(fmt::format("no engine runs on {}; `weft serve` starts one", store_));
  }
  const history::Queries* at_rest() const override { return queries_.get(); }

  Error stands_still(const v1::Run& run) const {
    return unavailable(
        fmt::format("run {} has not ended, and no engine runs on {}; `weft serve` lets it go on", run.id(), store_));
  }
  std::string store_;
  std::unique_ptr<history::Queries> queries_;
};

}  // namespace

Result<std::unique_ptr<Target>> open_archive(const std::string& store) {
  auto reader = memory::open_sqlite_reader(store);
  if (!reader && reader.error().code == Code::kNotFound) return no_store(store);
  if (!reader) return std::move(reader).error();
  return std::make_unique<Archive>(store, history::make_archive(*std::move(reader)));
}

}  // namespace weft::cli
