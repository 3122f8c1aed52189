#include "runtime/engine/maintenance/operations.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

namespace weft::engine {
namespace {

// An engine that has just started has better things to do.
constexpr Duration kRetentionFirst{60'000'000};
constexpr Duration kRetentionPeriod = std::chrono::hours(1);
// Between two runs that are removed: the disk is the runs' own.
constexpr Duration kRetentionPause{5'000};
constexpr Duration kDrainPiece{100'000};
constexpr std::int64_t kDrainMsMax = kDrainPatienceMax.count() / 1'000;

class StoreAdmin final : public Admin {
 public:
  explicit StoreAdmin(OperationsWorld world)
      : world_(std::move(world)),
        worker_(kRetentionFirst, kRetentionPeriod, [this](const std::atomic<bool>&) { keep_retention(); }) {}

  void backup(const v1::AdminBackupRequest& request, Reply<v1::AdminBackupResponse> reply) override {
    if (!request.path().starts_with('/')) {
      return reply(invalid_argument(fmt::format("a backup needs an absolute path; '{}' is none", request.path())));
    }
    ask<v1::AdminBackupResponse>(std::move(reply), [this, path = request.path()]() -> Result<v1::AdminBackupResponse> {
      WEFT_RETURN_IF_ERROR(world_.maintenance.backup(path));
      v1::AdminBackupResponse response;
      std::error_code ignored;
      response.set_bytes(std::filesystem::file_size(path, ignored));
      return response;
    });
  }

  void prune(const v1::AdminPruneRequest& request, Reply<v1::AdminPruneResponse> reply) override {
    if (request.has_older_than_us() && request.older_than_us() < 0) {
      return reply(invalid_argument(fmt::format("older_than_us is {}: not less than 0", request.older_than_us())));
    }
    PruneOrder order;
    if (request.has_older_than_us()) order.older_than = Duration(request.older_than_us());
    order.workflow = request.workflow();
    if (request.dry_run()) order.mode = PruneOrder::Mode::kCount;
    ask<v1::AdminPruneResponse>(std::move(reply), [this, order]() mutable -> Result<v1::AdminPruneResponse> {
      order.now = world_.clock.now();
      WEFT_TRY(const Pruned pruned, engine::prune(world_.maintenance, world_.retention, order, world_.leaving));
      v1::AdminPruneResponse response;
      response.set_runs(pruned.runs);
      response.set_runs_kept(pruned.kept);
      response.set_blobs(pruned.blobs);
      return response;
    });
  }

  void drain(const v1::AdminDrainRequest& request, Reply<v1::AdminDrainResponse> reply) override {
    if (request.patience_ms() < 0 || request.patience_ms() > kDrainMsMax) {
      return reply(
          invalid_argument(fmt::format("patience_ms is {}: from 0 to {}", request.patience_ms(), kDrainMsMax)));
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(request.patience_ms());
    ask<v1::AdminDrainResponse>(std::move(reply), [this, until]() -> Result<v1::AdminDrainResponse> {
      std::size_t left = world_.idle(Duration::zero());
      while (left > 0 && !world_.leaving && std::chrono::steady_clock::now() < until) left = world_.idle(kDrainPiece);
      v1::AdminDrainResponse response;
      response.set_runs_left(left);
      return response;
    });
  }

  Result<v1::AdminStatsResponse> stats(const v1::AdminStatsRequest&) const override {
    WEFT_TRY(const memory::StoreFigures figures, world_.maintenance.figures());
    v1::AdminStatsResponse response;
    response.set_store(figures.path);
    response.set_store_format(static_cast<std::uint32_t>(figures.format));
    response.set_file_bytes(figures.file_bytes);
    response.set_unused_bytes(figures.unused_bytes);
    response.set_wal_bytes(figures.wal_bytes);
    response.set_disk_free_bytes(figures.disk_free_bytes);
    response.set_runs(figures.runs);
    response.set_runs_unfinished(figures.runs_unfinished);
    response.set_runs_frozen(world_.storage_stall.runs());
    response.set_frozen_bytes(world_.storage_stall.bytes());
    response.set_commits(figures.commits.commits);
    response.set_commits_per_second(figures.commits.per_second);
    response.set_commit_p50_us(figures.commits.median.count());
    response.set_commit_p95_us(figures.commits.p95.count());
    describe_work(response);
    if (const Status admitted = world_.admits(); !admitted) response.set_refuses(admitted.error().message);
    return response;
  }

 private:
  // What the engine does now, and who waits for what.
  void describe_work(v1::AdminStatsResponse& response) const {
    constexpr std::size_t kShownMax = 100;
    auto waiting = world_.wait_reasons.runs_by_status();
    response.set_runs_at_work(world_.admission.runs_at_work());
    response.set_runs_queued(world_.admission.runs_waiting());
    // Those that a time alone moves are shown as running.
    response.set_runs_waiting(waiting[v1::RUN_STATUS_WAITING] + waiting[v1::RUN_STATUS_RUNNING]);
    response.set_runs_in_doubt(waiting[v1::RUN_STATUS_IN_DOUBT]);
    response.set_runs_paused(waiting[v1::RUN_STATUS_PAUSED]);
    const admission::Admission::Figures figures = world_.admission.figures(kShownMax);
    response.set_model_calls(figures.model_calls);
    response.set_tool_calls(world_.tool_calls);
    response.set_calls_waiting(figures.calls_waiting);
    for (const admission::Admission::QueueFigures& of : figures.queues) {
      v1::AdminLine& line = *response.add_lines();
      line.set_places(of.limit);
      line.set_taken(of.taken);
      line.set_places_max(of.bounds.places_max);
      line.set_in_minute(of.in_minute);
      line.set_per_minute(of.bounds.per_minute);
      line.set_waiting(of.waiting);
    }
    for (const auto& [name, runs] : figures.queued_by_tenant) {
      v1::AdminShare& share = *response.add_queued_by_share();
      share.set_share(name);
      share.set_runs(runs);
    }
  }

  template <class Response, class Work>
  void ask(Reply<Response> reply, Work work) {
    // Shared, since what cannot be queued is answered here.
    auto answer = std::make_shared<Reply<Response>>(std::move(reply));
    const bool queued =
        worker_.ask([answer, work = std::move(work)](const std::atomic<bool>&) mutable { (*answer)(work()); });
    if (!queued) {
      (*answer)(resource_exhausted(fmt::format("{} jobs of care wait already; ask again when one is done",
                                               MaintenanceWorker::kJobsMax))
                    .with("limit", "care_jobs_max"));
    }
  }

  void keep_retention() {
    PruneOrder order;
    order.now = world_.clock.now();
    order.pause = kRetentionPause;
    const auto pruned = engine::prune(world_.maintenance, world_.retention, order, world_.leaving);
    if (!pruned) return spdlog::warn("ended runs could not be removed: {}", pruned.error().message);
    if (pruned->runs > 0) {
      spdlog::info("the retention removed {} ended runs with {} contents", pruned->runs, pruned->blobs);
    }
  }

  const OperationsWorld world_;
  MaintenanceWorker worker_;  // Last: it uses the rest.
};

}  // namespace

std::unique_ptr<Admin> make_operations(OperationsWorld world) { return std::make_unique<StoreAdmin>(std::move(world)); }

}  // namespace weft::engine
