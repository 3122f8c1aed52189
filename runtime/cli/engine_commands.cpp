// What an operator asks of the engine that runs on a store: what it does, and that it takes no more.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/cli/admin.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/figures.h"
#include "runtime/cli/place.h"

namespace weft::cli {
namespace {

Result<std::unique_ptr<AdminTarget>> running_engine(const Context& context) {
  WEFT_TRY(const Place place, find_place(context.global, context.environment, context.folder));
  if (!place.server.empty()) return connect_admin(place.server);
  if (engine_answers(place)) return connect_admin("unix:" + place.socket);
  return unavailable(fmt::format("no engine runs on {}; `weft serve` starts one", place.store));
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::uint64_t kStep = 1'000;
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  double amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= kStep && unit + 1 < std::size(units); ++unit) amount /= kStep;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", amount, units[unit]);
}

Json json_of(const v1::AdminStatsResponse& stats) {
  Json json = {
      {"store",
       {{"path", stats.store()},
        {"format", stats.store_format()},
        {"file_bytes", stats.file_bytes()},
        {"unused_bytes", stats.unused_bytes()},
        {"wal_bytes", stats.wal_bytes()},
        {"disk_free_bytes", stats.disk_free_bytes()}}},
      {"runs",
       {{"all", stats.runs()},
        {"unfinished", stats.runs_unfinished()},
        {"at_work", stats.runs_at_work()},
        {"queued", stats.runs_queued()},
        {"waiting", stats.runs_waiting()},
        {"in_doubt", stats.runs_in_doubt()},
        {"paused", stats.runs_paused()},
        {"frozen", stats.runs_frozen()},
        {"frozen_bytes", stats.frozen_bytes()}}},
      {"calls", {{"model", stats.model_calls()}, {"tool", stats.tool_calls()}, {"waiting", stats.calls_waiting()}}},
      {"commits",
       {{"all", stats.commits()},
        {"per_second", stats.commits_per_second()},
        {"p50_us", stats.commits() == 0 ? Json() : Json(stats.commit_p50_us())},
        {"p95_us", stats.commits() == 0 ? Json() : Json(stats.commit_p95_us())}}},
  };
  const auto limit = [](std::uint64_t max) { return max == 0 ? Json() : Json(max); };
  json["lines"] = Json::array();
  for (const v1::AdminLine& line : stats.lines()) {
    json["lines"].push_back({{"places", line.places()},
                             {"taken", line.taken()},
                             {"places_max", limit(line.places_max())},
                             {"in_minute", line.in_minute()},
                             {"per_minute", limit(line.per_minute())},
                             {"waiting", line.waiting()}});
  }
  json["queued_by_share"] = Json::array();
  for (const v1::AdminShare& share : stats.queued_by_share()) {
    json["queued_by_share"].push_back({{"share", share.share()}, {"runs", share.runs()}});
  }
  json["refuses"] = stats.refuses().empty() ? Json() : Json(stats.refuses());
  return json;
}

void print(Terminal& terminal, const v1::AdminStatsResponse& stats) {
  terminal.out_line(fmt::format("store    {}  format {}, {} and {} of WAL, {} free on its disk", stats.store(),
                                stats.store_format(), bytes_text(stats.file_bytes()), bytes_text(stats.wal_bytes()),
                                bytes_text(stats.disk_free_bytes())));
  std::string runs =
      fmt::format("runs     {} in all, {} unfinished: {} at work, {} queued, {} waiting, {} in doubt, {} paused",
                  stats.runs(), stats.runs_unfinished(), stats.runs_at_work(), stats.runs_queued(),
                  stats.runs_waiting(), stats.runs_in_doubt(), stats.runs_paused());
  if (stats.runs_frozen() > 0)
    runs += fmt::format(", {} frozen with {}", stats.runs_frozen(), bytes_text(stats.frozen_bytes()));
  terminal.out_line(runs);
  terminal.out_line(fmt::format("calls    {} of models and {} of tools under way, {} wait for their turn",
                                stats.model_calls(), stats.tool_calls(), stats.calls_waiting()));
  terminal.out_line(stats.commits() == 0
                        ? "commits  none yet"
                        : fmt::format("commits  {:.1f}/s, p50 {:.2f} ms, p95 {:.2f} ms with the sync",
                                      stats.commits_per_second(), static_cast<double>(stats.commit_p50_us()) / 1e3,
                                      static_cast<double>(stats.commit_p95_us()) / 1e3));
  for (const v1::AdminLine& line : stats.lines()) {
    std::string text = fmt::format("line     {} waiting, {} {}", line.waiting(), line.taken(), line.places());
    if (line.places_max() > 0) text += fmt::format(" of {}", line.places_max());
    if (line.per_minute() > 0) text += fmt::format(", {} of {} within a minute", line.in_minute(), line.per_minute());
    terminal.out_line(terminal.shown(text));
  }
  for (const v1::AdminShare& share : stats.queued_by_share())
    terminal.out_line(terminal.shown(
        fmt::format("queued   {} of {}", share.runs(), share.share().empty() ? "no label" : share.share())));
  if (!stats.refuses().empty()) terminal.out_line("refuses  " + terminal.shown(stats.refuses()));
}

}  // namespace

Exit execute(const Context& context, const StatsOptions&) {
  WEFT_COMMAND_TRY(context, const auto engine, running_engine(context));
  WEFT_COMMAND_TRY(context, const v1::AdminStatsResponse stats, engine->stats());
  if (context.terminal.is_text()) {
    print(context.terminal, stats);
  } else {
    context.terminal.out_line(to_text(json_of(stats)));
  }
  return Exit::kOk;
}

Exit execute(const Context& context, const DrainOptions& options) {
  WEFT_COMMAND_TRY(context, const auto engine, running_engine(context));
  v1::AdminDrainRequest request;
  if (options.wait) request.set_patience_ms(options.wait->count() / 1'000);
  WEFT_COMMAND_TRY(context, const v1::AdminDrainResponse drained, engine->drain(request));
  const std::uint64_t left = drained.runs_left();
  if (context.terminal.is_text()) {
    context.terminal.out_line(left == 0 ? "takes no more runs; none is at work"
                                        : fmt::format("takes no more runs; {} still at work", counted(left, "run")));
  } else {
    context.terminal.out_line(to_text(Json{{"runs_left", left}}));
  }
  return options.wait && left > 0 ? Exit::kFailed : Exit::kOk;
}

}  // namespace weft::cli
