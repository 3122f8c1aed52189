#include "bench/load.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

namespace weft::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

Error refused(const std::string& what, const grpc::Status& status) {
  return {static_cast<Code>(status.error_code()), fmt::format("{}: {}", what, status.error_message()), {}};
}

Result<std::string> output_of(const v1::Run& run) {
  if (run.status() == v1::RUN_STATUS_SUCCEEDED) return run.output_json().inline_();
  return internal(
      fmt::format("run {} ended as {}: {}", run.id(), v1::RunStatus_Name(run.status()), run.failure().message()));
}

// What the slots of one load share. Slots are gRPC's while a call is open; the last to end wakes the driver.
class Driver {
 public:
  enum class Wait : std::uint8_t { kForEnd, kForNothing };

  Driver(v1::Runs::Stub& runs, const Load& load, Wait wait)
      : runs_(runs), load_(load), wait_(wait), latencies_ms_(load.runs), run_ids_(load.runs) {}

  Status run() {
    const std::size_t slots = std::min(load_.in_flight, load_.runs);
    open_ = slots;
    std::vector<std::unique_ptr<Slot>> all;
    for (std::size_t i = 0; i < slots; ++i) all.push_back(std::make_unique<Slot>(*this));
    const auto begun = SteadyClock::now();
    for (std::size_t i = 0; i < slots; ++i) {
      const double after_ms = load_.begin_over_ms * static_cast<double>(i) / static_cast<double>(slots);
      std::this_thread::sleep_until(begun + std::chrono::duration<double, std::milli>(after_ms));
      all[i]->next();
    }
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return open_ == 0; });
    seconds_ = std::chrono::duration<double>(SteadyClock::now() - begun).count();
    if (fault_) return *fault_;
    return {};
  }

  std::vector<double> take_latencies() { return std::move(latencies_ms_); }
  std::vector<std::string> take_run_ids() { return std::move(run_ids_); }
  double seconds() const { return seconds_; }

 private:
  // One run at a time.
  class Slot {
   public:
    explicit Slot(Driver& driver) : driver_(driver) {}

    void next() {
      index_ = driver_.next_.fetch_add(1);
      if (index_ >= driver_.load_.runs || driver_.stopped_) return driver_.end(std::nullopt);
      begun_ = SteadyClock::now();
      submit_.set_workflow_hash(driver_.load_.workflow_hash);
      submit_.set_input_json(driver_.load_.input(index_));
      context_.emplace();
      driver_.runs_.async()->Submit(&*context_, &submit_, &submitted_,
                                    [this](const grpc::Status& status) { on_submitted(status); });
    }

   private:
    void on_submitted(const grpc::Status& status) {
      if (!status.ok()) return driver_.end(refused("Submit", status));
      driver_.run_ids_[index_] = submitted_.run_id();
      if (driver_.wait_ == Wait::kForNothing) return next();
      wait_.set_run_id(submitted_.run_id());
      context_.emplace();
      driver_.runs_.async()->Wait(&*context_, &wait_, &waited_, [this](const grpc::Status& s) { on_ended(s); });
    }

    void on_ended(const grpc::Status& status) {
      if (!status.ok()) return driver_.end(refused("Wait", status));
      driver_.latencies_ms_[index_] = std::chrono::duration<double, std::milli>(SteadyClock::now() - begun_).count();
      const Result<std::string> output = output_of(waited_.run());
      if (!output) return driver_.end(output.error());
      if (!driver_.load_.right(index_, *output)) {
        return driver_.end(internal(fmt::format("run {} has the wrong output {}", waited_.run().id(), *output)));
      }
      next();
    }

    Driver& driver_;
    std::size_t index_ = 0;
    SteadyClock::time_point begun_;
    std::optional<grpc::ClientContext> context_;
    v1::RunsSubmitRequest submit_;
    v1::RunsSubmitResponse submitted_;
    v1::RunsWaitRequest wait_;
    v1::RunsWaitResponse waited_;
  };

  void end(std::optional<Error> fault) {
    const std::lock_guard lock(mutex_);
    if (fault) stopped_ = true;
    if (fault && !fault_) fault_ = std::move(fault);
    if (--open_ == 0) ended_.notify_one();
  }

  v1::Runs::Stub& runs_;
  const Load& load_;
  const Wait wait_;
  std::vector<double> latencies_ms_;  // Each element is its slot's.
  std::vector<std::string> run_ids_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> stopped_ = false;
  double seconds_ = 0;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t open_ = 0;        // Guarded by mutex_.
  std::optional<Error> fault_;  // Guarded by mutex_.
};

class GrpcClient final : public Client {
 public:
  explicit GrpcClient(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    const auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    traces_ = v1::Traces::NewStub(channel);
    runs_ = v1::Runs::NewStub(channel);
    workflows_ = v1::Workflows::NewStub(channel);
  }

  Result<std::string> apply(const std::string& yaml) override {
    grpc::ClientContext context;
    v1::WorkflowsApplyRequest request;
    v1::WorkflowsApplyResponse response;
    request.mutable_bundle()->set_file("bench.yaml");
    request.mutable_bundle()->set_text(yaml);
    const grpc::Status status = workflows_->Apply(&context, request, &response);
    if (!status.ok()) return refused("Apply", status);
    return response.workflow().hash();
  }

  Result<Loaded> drive(const Load& load) override {
    Driver driver(*runs_, load, Driver::Wait::kForEnd);
    WEFT_RETURN_IF_ERROR(driver.run());
    return Loaded{driver.take_latencies(), driver.take_run_ids(), driver.seconds()};
  }

  Result<std::vector<std::string>> submit(const Load& load) override {
    Driver driver(*runs_, load, Driver::Wait::kForNothing);
    WEFT_RETURN_IF_ERROR(driver.run());
    return driver.take_run_ids();
  }

  Result<std::string> wait(const std::string& run_id) override {
    grpc::ClientContext context;
    v1::RunsWaitRequest request;
    v1::RunsWaitResponse response;
    request.set_run_id(run_id);
    const grpc::Status status = runs_->Wait(&context, request, &response);
    if (!status.ok()) return refused("Wait", status);
    return output_of(response.run());
  }

  Result<std::vector<std::int64_t>> calls_ended_us(const std::string& run_id) override {
    v1::TracesGetRequest request;
    request.set_run_id(run_id);
    std::vector<std::int64_t> ended_us;
    while (true) {
      grpc::ClientContext context;
      v1::TracesGetResponse response;
      const grpc::Status status = traces_->Get(&context, request, &response);
      if (!status.ok()) return refused("Get", status);
      for (const v1::Event& event : response.events()) {
        if (event.has_tool_call_ended()) ended_us.push_back(event.at_us());
      }
      if (response.next_page_token().empty()) return ended_us;
      request.set_page_token(response.next_page_token());
    }
  }

 private:
  std::unique_ptr<v1::Traces::Stub> traces_;
  std::unique_ptr<v1::Runs::Stub> runs_;
  std::unique_ptr<v1::Workflows::Stub> workflows_;
};

}  // namespace

double percentile(std::vector<double> values, double percent) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

std::unique_ptr<Client> connect(const std::string& address) { return std::make_unique<GrpcClient>(address); }

}  // namespace weft::bench
