#include "runtime/history/store_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "runtime/history/event_codec.h"
#include "runtime/history/run_summary.h"
#include "runtime/history/schedule_view.h"

namespace weft::history {
namespace {

// A page token is bound to what it continues: the hash of the request beside the position in it.
std::string make_token(std::string_view bound_to, std::string_view position) {
  return to_hex(fmt::format("{:016x}{}", hash64(bound_to), position));
}

Result<std::string> read_token(std::string_view bound_to, std::string_view token) {
  if (token.empty()) return std::string();
  constexpr std::size_t kHashDigits = 16;
  auto text = from_hex(token);
  if (!text || text->size() < kHashDigits || text->substr(0, kHashDigits) != fmt::format("{:016x}", hash64(bound_to))) {
    return invalid_argument("the page token does not belong to this request; ask for the first page again");
  }
  return text->substr(kHashDigits);
}

Result<std::size_t> page_size(std::uint32_t wanted) {
  if (wanted > StoreQueries::kPageSizeMax) {
    return invalid_argument(fmt::format("page_size is {}; at most {} fit a page", wanted, StoreQueries::kPageSizeMax));
  }
  return wanted == 0 ? StoreQueries::kPageSize : wanted;
}

Result<v1::Workflow> describe_workflow(const memory::WorkflowRow& row) {
  v1::Workflow workflow;
  if (!workflow.ParseFromString(row.summary))
    return data_loss(fmt::format("the stored workflow {} cannot be read", row.name));
  workflow.set_version(row.version);
  workflow.set_applied_at_us(row.applied_at.time_since_epoch().count());
  return workflow;
}

}  // namespace

Result<v1::WorkflowsGetResponse> StoreQueries::get_workflow(const v1::WorkflowsGetRequest& request) const {
  if (request.name().empty() == request.hash().empty())
    return invalid_argument("give the name or the hash of a workflow");
  WEFT_TRY(const memory::WorkflowRow row, request.hash().empty() ? reader_.workflow_by_name(request.name())
                                                                 : reader_.workflow_by_hash(request.hash()));
  v1::WorkflowsGetResponse response;
  WEFT_TRY(*response.mutable_workflow(), describe_workflow(row));
  if (!response.mutable_bundle()->ParseFromString(row.bundle)) {
    return data_loss(fmt::format("the stored workflow {} cannot be read", row.name));
  }
  return response;
}

Result<v1::WorkflowsListResponse> StoreQueries::list_workflows(const v1::WorkflowsListRequest& request) const {
  WEFT_TRY(const std::size_t limit, page_size(request.page_size()));
  WEFT_TRY(const std::string after, read_token("workflows", request.page_token()));
  WEFT_TRY(const auto rows, reader_.workflows(limit + 1, after));
  v1::WorkflowsListResponse response;
  for (std::size_t i = 0; i < std::min(limit, rows.size()); ++i) {
    WEFT_TRY(*response.add_workflows(), describe_workflow(rows[i]));
  }
  if (rows.size() > limit) response.set_next_page_token(make_token("workflows", rows[limit - 1].name));
  return response;
}

namespace {

Result<std::map<std::string, v1::ScheduleState>> kept_states(const memory::Reader& reader) {
  WEFT_TRY(const auto rows, reader.schedules());
  std::map<std::string, v1::ScheduleState> states;
  for (const memory::ScheduleRow& row : rows) {
    if (!states[row.name].ParseFromString(row.state))
      return data_loss(fmt::format("what is kept of the schedule {} cannot be read", row.name));
  }
  return states;
}

}  // namespace

Result<v1::SchedulesListResponse> StoreQueries::list_schedules(const v1::SchedulesListRequest& request) const {
  constexpr std::size_t kPageRows = 1'000;
  WEFT_TRY(const std::size_t limit, page_size(request.page_size()));
  WEFT_TRY(std::string after, read_token("schedules", request.page_token()));
  WEFT_TRY(const auto states, kept_states(reader_));
  v1::SchedulesListResponse response;
  for (;;) {
    WEFT_TRY(const auto rows, reader_.workflows(kPageRows, after));
    for (const memory::WorkflowRow& row : rows) {
      const auto kept = states.find(row.name);
      auto schedule = describe_schedule(row, kept == states.end() ? nullptr : &kept->second, clock_.now(), kTimesTold);
      if (!schedule && schedule.error().code == Code::kNotFound) continue;
      if (!schedule) return std::move(schedule).error();
      if (response.schedules_size() == static_cast<int>(limit)) {
        response.set_next_page_token(make_token("schedules", response.schedules().rbegin()->workflow()));
        return response;
      }
      *response.add_schedules() = *std::move(schedule);
    }
    if (rows.size() < kPageRows) return response;
    after = rows.back().name;
  }
}

Result<v1::SchedulesGetResponse> StoreQueries::get_schedule(const v1::SchedulesGetRequest& request) const {
  if (request.times() > kTimesToldMax)
    return invalid_argument(fmt::format("at most {} of the next times are told", kTimesToldMax));
  WEFT_TRY(const memory::WorkflowRow row, reader_.workflow_by_name(request.workflow()));
  WEFT_TRY(const auto states, kept_states(reader_));
  const auto kept = states.find(row.name);
  v1::SchedulesGetResponse response;
  WEFT_TRY(*response.mutable_schedule(),
           describe_schedule(row, kept == states.end() ? nullptr : &kept->second, clock_.now(),
                             request.times() == 0 ? kTimesTold : request.times()));
  return response;
}

Result<v1::Run> StoreQueries::outline(const memory::RunRow& row) const {
  v1::Run run;
  if (!run.ParseFromString(row.summary)) return data_loss(fmt::format("the stored run {} cannot be read", row.id));
  if (!row.ended) live_status_(run);
  return run;
}

// Rows are written when a run begins and when it ends; in between, its events say how it stands.
Result<v1::Run> StoreQueries::describe(const memory::RunRow& row) const {
  if (row.ended) return outline(row);
  v1::Run run;
  if (const auto known = summaries_.find(row.id)) run = *known;
  const std::uint64_t known_seq = run.last_seq();
  if (known_seq < row.last_seq) {
    const Status read = for_each_event(reader_, row.id, known_seq + 1, [&](const v1::Event& event) {
      add_to_summary(event, run);
      return event.seq() < row.last_seq;
    });
    if (!read) {
      // It is shown all the same, as it was submitted: one damaged run hides no other.
      if (!run.ParseFromString(row.summary)) return read.error();
      run.set_status(v1::RUN_STATUS_WAITING);
      run.set_waits_for("somebody who looks at it: " + read.error().message);
      return run;
    }
  }
  if (run.last_seq() > known_seq) summaries_.put(run);
  live_status_(run);
  return run;
}

Result<v1::RunsGetResponse> StoreQueries::get_run(const v1::RunsGetRequest& request) const {
  WEFT_TRY(const memory::RunRow row, reader_.run(request.run_id()));
  v1::RunsGetResponse response;
  WEFT_TRY(*response.mutable_run(), describe(row));
  return response;
}

Result<v1::RunsListResponse> StoreQueries::list_runs(const v1::RunsListRequest& request) const {
  v1::RunsListRequest bound = request;
  bound.clear_page_token();
  bound.clear_page_size();
  const std::string bound_to = bound.SerializeAsString();
  WEFT_TRY(const std::size_t limit, page_size(request.page_size()));
  WEFT_TRY(const std::string after, read_token(bound_to, request.page_token()));
  if (std::max(request.labels_size(), request.statuses_size()) > kFilterPartsMax) {
    return invalid_argument(fmt::format("a filter names at most {} labels and as many statuses", kFilterPartsMax))
        .with("limit", "labels_max");
  }
  memory::RunFilter filter;
  filter.workflow = request.workflow();
  // The rows of runs that have not ended say "running"; how they stand is known when they are described.
  bool unended = false;
  for (const int status : request.statuses()) {
    if (status < v1::RUN_STATUS_SUCCEEDED) {
      unended = true;
    } else {
      filter.statuses.push_back(status);
    }
  }
  if (unended) filter.statuses.push_back(v1::RUN_STATUS_RUNNING);
  for (const v1::Label& label : request.labels()) filter.labels.emplace_back(label.key(), label.value());
  if (request.since_us() != 0) filter.since = Time(Duration(request.since_us()));
  WEFT_TRY(const memory::RunPage page, reader_.runs(filter, limit, after));
  v1::RunsListResponse response;
  for (const memory::RunRow& row : page.rows) {
    WEFT_TRY(v1::Run run, describe(row));
    const auto& wanted = request.statuses();
    if (wanted.empty() || std::ranges::find(wanted, run.status()) != wanted.end())
      *response.add_runs() = std::move(run);
  }
  if (!page.next.empty()) response.set_next_page_token(make_token(bound_to, page.next));
  return response;
}

Result<v1::TracesGetResponse> StoreQueries::get_trace(const v1::TracesGetRequest& request) const {
  WEFT_TRY(const memory::RunRow row, reader_.run(request.run_id()));
  const std::string bound_to = "trace" + row.id;
  WEFT_TRY(const std::string position, read_token(bound_to, request.page_token()));
  std::uint64_t from = std::max<std::uint64_t>(request.from_seq(), 1);
  std::from_chars(position.data(), position.data() + position.size(), from);
  v1::TracesGetResponse response;
  WEFT_TRY(*response.mutable_run(), describe(row));
  WEFT_TRY(std::vector<v1::Event> page, events(row.id, from, kTracePageBytes));
  for (v1::Event& event : page) *response.add_events() = std::move(event);
  if (!response.events().empty() && response.events().rbegin()->seq() < response.run().last_seq()) {
    response.set_next_page_token(make_token(bound_to, std::to_string(response.events().rbegin()->seq() + 1)));
  }
  return response;
}

Result<std::vector<v1::Event>> StoreQueries::events(std::string_view run_id, std::uint64_t from_seq,
                                                    std::size_t bytes_max) const {
  WEFT_TRY(const auto batches, reader_.events(run_id, std::max<std::uint64_t>(from_seq, 1), bytes_max));
  std::vector<v1::Event> all;
  for (const memory::EventBatch& batch : batches) {
    WEFT_TRY(std::vector<v1::Event> events, read_batch(batch.events));
    for (v1::Event& event : events) {
      if (event.seq() >= from_seq) all.push_back(std::move(event));
    }
  }
  return all;
}

Result<std::shared_ptr<const std::string>> StoreQueries::content(std::string_view sha256) const {
  Digest digest;
  if (sha256.size() != digest.size()) return invalid_argument("a content is named by the 32 bytes of its SHA-256");
  std::ranges::copy(sha256, digest.begin());
  return reader_.blob(digest);
}

Result<memory::BlobPiece> StoreQueries::content_piece(std::string_view run_id, std::string_view sha256,
                                                      std::uint64_t offset, std::size_t bytes_max) const {
  Digest digest;
  if (sha256.size() != digest.size())
    return invalid_argument(
        fmt::format("a content is named by the 32 bytes of its SHA-256, and not by {} bytes", sha256.size()));
  if (run_id.empty()) return invalid_argument("a content belongs to a run: name it in `run_id`");
  std::ranges::copy(sha256, digest.begin());
  WEFT_TRY(const memory::RunRow row, reader_.run(run_id));
  return reader_.blob_piece(row.id, digest, offset, bytes_max);
}

namespace {

struct OwnedReader {
  std::unique_ptr<memory::Reader> reader;
  SystemClock clock;
  Summaries summaries{};
};

// Owns its reader, which is therefore its first base.
class Archive final : private OwnedReader, public StoreQueries {
 public:
  explicit Archive(std::unique_ptr<memory::Reader> reader_in)
      : OwnedReader{std::move(reader_in), {}}, StoreQueries(*reader, &Archive::set_status, clock, summaries) {}

 private:
  static void set_status(v1::Run& run) {
    run.set_status(v1::RUN_STATUS_PAUSED);
    run.set_waits_for("an engine: none runs on this store");
  }
};

}  // namespace

std::unique_ptr<Queries> make_archive(std::unique_ptr<memory::Reader> reader) {
  return std::make_unique<Archive>(std::move(reader));
}

}  // namespace weft::history
