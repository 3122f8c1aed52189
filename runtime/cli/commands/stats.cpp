// `weft stats`: what the engine does now.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/engine/maintenance/admin.h"

namespace weft::cli {
namespace {

struct StatsValues {};

Options describe(StatsValues&) { return {}; }

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
    terminal.out_line(printable(text));
  }
  for (const v1::AdminShare& share : stats.queued_by_share())
    terminal.out_line(
        printable(fmt::format("queued   {} of {}", share.runs(), share.share().empty() ? "no label" : share.share())));
  if (!stats.refuses().empty()) terminal.out_line("refuses  " + printable(stats.refuses()));
}

Exit stats(const Context& context, const StatsValues&) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  WEFT_COMMAND_TRY(context, const auto engine, open_engine(place, Patience::kCare));
  WEFT_COMMAND_TRY(context, const v1::AdminStatsResponse stats,
                   engine->call(&engine::Admin::stats, v1::AdminStatsRequest()));
  if (context.terminal.is_text()) {
    print(context.terminal, stats);
  } else {
    context.terminal.out_line(to_text(json_of(stats)));
  }
  return Exit::kOk;
}

}  // namespace

Command stats_command() {
  return {"stats", Group::kStore, "Show what the engine does now: runs, calls, queues, commits",
          [] { return bound<StatsValues>(describe, stats); }};
}

}  // namespace weft::cli
