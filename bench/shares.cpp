#include "bench/shares.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "bench/bench_tools.h"
#include "bench/measured_server.h"
#include "weft/v1/runs.grpc.pb.h"

namespace weft::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kPlaces = 8;
// Of what the places serve: the lesser one offers a little more than its half, the greater one ten times that.
constexpr double kLesserOffers = 0.55;
constexpr double kTimesMore = 10;
constexpr std::int64_t kPriorityStepUs = 60'000'000;  // docs/configuration.md, "Order under load".
constexpr std::chrono::seconds kWarmUp{5};
constexpr std::chrono::minutes kPatience{5};
constexpr std::uint32_t kPageSize = 1'000;

constexpr const char* kConfig = "limits:\n  runs_at_work_max: 8\n  fair_by: tenant\n";
constexpr const char* kSlowly =
    "weft: 1\nname: slowly\nsteps:\n  one: {needs: [], tool: bench.slow, args: {v: 1, i: 0}, output: integer}\n";

v1::RunsSubmitRequest submission(const std::string& hash, const std::string& tenant, std::int32_t priority) {
  v1::RunsSubmitRequest request;
  request.set_workflow_hash(hash);
  request.set_input_json("{}");
  v1::Label& label = *request.add_labels();
  label.set_key("tenant");
  label.set_value(tenant);
  request.set_priority(priority);
  return request;
}

// Submits at a rate, whatever becomes of what it has submitted, until it is told to stop.
class Offer {
 public:
  Offer(v1::Runs::Stub& runs, v1::RunsSubmitRequest request, double per_s)
      : runs_(runs), request_(std::move(request)), per_s_(per_s), thread_([this] { offer(); }) {}

  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    while (open_ > 0) std::this_thread::sleep_for(kTick);
  }
  ~Offer() { stop(); }
  std::size_t submitted() const { return submitted_; }
  std::size_t refused() const { return refused_; }

 private:
  static constexpr std::chrono::milliseconds kTick{2};
  struct Call {
    grpc::ClientContext context;
    v1::RunsSubmitResponse response;
  };

  void offer() {
    const auto begun = SteadyClock::now();
    while (!stopping_) {
      const double seconds = std::chrono::duration<double>(SteadyClock::now() - begun).count();
      for (const auto due = static_cast<std::size_t>(seconds * per_s_); submitted_ < due; ++submitted_) submit();
      std::this_thread::sleep_for(kTick);
    }
  }

  void submit() {
    ++open_;
    auto call = std::make_shared<Call>();
    runs_.async()->Submit(&call->context, &request_, &call->response, [this, call](const grpc::Status& status) {
      if (!status.ok()) ++refused_;
      --open_;
    });
  }

  v1::Runs::Stub& runs_;
  const v1::RunsSubmitRequest request_;
  const double per_s_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> submitted_ = 0;
  std::atomic<std::size_t> refused_ = 0;
  std::atomic<std::size_t> open_ = 0;
  std::thread thread_;  // Last: it uses the rest.
};

struct Ended {
  std::int64_t submitted_us = 0;
  std::int64_t ended_us = 0;
};

Result<std::vector<Ended>> ended_runs(v1::Runs::Stub& runs, const std::string& tenant) {
  v1::RunsListRequest request;
  request.add_statuses(v1::RUN_STATUS_SUCCEEDED);
  *request.add_labels() = submission("", tenant, 0).labels(0);
  request.set_page_size(kPageSize);
  std::vector<Ended> ended;
  while (true) {
    grpc::ClientContext context;
    v1::RunsListResponse response;
    const grpc::Status status = runs.List(&context, request, &response);
    if (!status.ok()) return internal(fmt::format("List: {}", status.error_message()));
    for (const v1::Run& run : response.runs()) {
      if (run.priority() == 0) ended.push_back({run.submitted_at_us(), run.ended_at_us()});
    }
    if (response.next_page_token().empty()) return ended;
    request.set_page_token(response.next_page_token());
  }
}

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<v1::Run> run_to_end(v1::Runs::Stub& runs, const v1::RunsSubmitRequest& request) {
  v1::RunsWaitRequest wait;
  {
    grpc::ClientContext context;
    v1::RunsSubmitResponse response;
    const grpc::Status status = runs.Submit(&context, request, &response);
    if (!status.ok()) return internal(fmt::format("Submit: {}", status.error_message()));
    wait.set_run_id(response.run_id());
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::RunsWaitResponse response;
  const grpc::Status status = runs.Wait(&context, wait, &response);
  if (!status.ok()) return internal(fmt::format("Wait: {}", status.error_message()));
  if (response.run().ended_at_us() == 0) return internal("the run of a lower priority has not ended");
  return response.run();
}

}  // namespace

Result<Json> shares(const Arguments& arguments, const std::string& store, std::size_t seconds) {
  WEFT_TRY(MeasuredServer server,
           start_server(arguments, store, {std::string("WEFT_BENCH_CONFIG=") + kConfig, pool_threads(kPlaces)}));
  WEFT_TRY(const std::string hash, server.client->apply(kSlowly));
  const auto runs = v1::Runs::NewStub(grpc::CreateChannel(server.address, grpc::InsecureChannelCredentials()));
  const double served_per_s = kPlaces / std::chrono::duration<double>(kSlow).count();
  const double lesser_per_s = served_per_s * kLesserOffers;
  Offer lesser(*runs, submission(hash, "lesser", 0), lesser_per_s);
  Offer greater(*runs, submission(hash, "greater", 0), lesser_per_s * kTimesMore);
  std::this_thread::sleep_for(kWarmUp);
  auto low = std::async(std::launch::async, [&] { return run_to_end(*runs, submission(hash, "lesser", -1)); });
  const std::int64_t from_us = now_us();
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const std::int64_t to_us = now_us();
  WEFT_TRY(const v1::Run low_run, low.get());
  lesser.stop();
  greater.stop();

  WEFT_TRY(const std::vector<Ended> of_lesser, ended_runs(*runs, "lesser"));
  WEFT_TRY(const std::vector<Ended> of_greater, ended_runs(*runs, "greater"));
  server.process.signal(SIGKILL);  // Tens of thousands wait, and nobody waits for them.
  const auto within = [&](const std::vector<Ended>& all) {
    return static_cast<double>(
        std::ranges::count_if(all, [&](const Ended& run) { return run.ended_us > from_us && run.ended_us <= to_us; }));
  };
  const double lesser_had = within(of_lesser);
  const double greater_had = within(of_greater);
  const double equal = (lesser_had + greater_had) / 2;
  std::int64_t longest_us = 0;  // How long a run of its own share and the usual priority took.
  for (const Ended& run : of_lesser) longest_us = std::max(longest_us, run.ended_us - run.submitted_us);
  const auto overtaken = std::ranges::count_if(of_lesser, [&](const Ended& run) {
    return run.submitted_us > low_run.submitted_at_us() + kPriorityStepUs && run.ended_us < low_run.ended_at_us();
  });
  const auto in_seconds = [](std::int64_t us) { return rounded(static_cast<double>(us) / 1e6, 2); };
  return Json{{"offered_lesser", lesser.submitted()},
              {"offered_greater", greater.submitted()},
              {"refused", lesser.refused() + greater.refused()},
              {"had_lesser", lesser_had},
              {"had_greater", greater_had},
              {"share_lesser", rounded(lesser_had / equal, 3)},
              {"share_greater", rounded(greater_had / equal, 3)},
              {"low_s", in_seconds(low_run.ended_at_us() - low_run.submitted_at_us())},
              {"low_bound_s", in_seconds(kPriorityStepUs + longest_us)},
              {"overtaken", overtaken}};
}

}  // namespace weft::bench
