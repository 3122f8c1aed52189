// `weft db`: the care of a store: look through it, copy it, remove what is old. Through its engine where one runs.
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "memory/journal/inspection.h"
#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/engine/maintenance/admin.h"
#include "runtime/engine/maintenance/retention.h"
#include "runtime/history/check_store.h"

namespace weft::cli {
namespace {

struct DbValues {
  std::string action;  // verify, backup, prune
  std::string path;    // Of a backup.
  std::optional<Duration> older_than;
  std::string workflow;
  bool dry_run = false;
};

Options describe(DbValues& values) {
  return {
      one_of(
          {"verify", "backup", "prune"},
          required("ACTION", "verify: is everything in it as it was written; backup: copy it; prune: remove old runs",
                   &values.action)),
      optional("PATH", "backup: where the copy goes", &values.path),
      option("--older-than", "TIME", "prune: runs that ended longer ago, as 7d; the retention of weft.yaml by default",
             &values.older_than),
      option("--workflow", "NAME", "prune: only runs of this workflow", &values.workflow),
      flag("--dry-run", "prune: count, and remove nothing", &values.dry_run),
  };
}

std::string count_of(std::uint64_t count, std::string_view one) {
  return count == 1 ? fmt::format("1 {}", one) : fmt::format("{} {}s", count, one);
}

Exit verify(const Context& context, const Place& place) {
  if (!place.server.empty()) {
    return fail(context, invalid_argument("verify reads a store's file: name it with --store, on its own machine"));
  }
  if (!place.store_exists) return fail(context, no_store(place.store));
  WEFT_COMMAND_TRY(context, const auto store, memory::Inspection::open(place.store));
  const bool as_text = context.terminal.format() == Format::kText;
  Json faults = Json::array();
  const auto verified = history::check_store(*store, [&](const history::Fault& fault) {
    if (as_text) {
      return context.terminal.out_line(
          fmt::format("{}: {}; {}", fault.run.empty() ? place.store : fault.run, fault.what, fault.way_out));
    }
    faults.push_back(
        {{"run", fault.run.empty() ? Json() : Json(fault.run)}, {"what", fault.what}, {"way_out", fault.way_out}});
  });
  if (!verified) return fail(context, verified.error());
  if (as_text) {
    context.terminal.err_line(fmt::format("{}: {}, {}, {} ({} bytes)",
                                          verified->faults == 0 ? "sound" : count_of(verified->faults, "fault"),
                                          count_of(verified->runs, "run"), count_of(verified->events, "event"),
                                          count_of(verified->blobs, "content"), verified->blob_bytes));
  } else {
    context.terminal.out_line(to_text(Json{{"faults", std::move(faults)},
                                           {"runs", verified->runs},
                                           {"events", verified->events},
                                           {"blobs", verified->blobs},
                                           {"blob_bytes", verified->blob_bytes}}));
  }
  return verified->faults == 0 ? Exit::kOk : Exit::kFailed;
}

Exit backup(const Context& context, const Place& place, const std::string& to) {
  if (to.empty()) return fail(context, invalid_argument("weft db backup PATH: where the copy goes is missing"));
  const std::string path = (std::filesystem::path(context.folder) / to).lexically_normal().string();
  const auto engine = find_engine(place, Patience::kCare);
  if (engine == nullptr) {
    if (!place.store_exists) return fail(context, no_store(place.store));
    if (const Status done = memory::backup_sqlite(place.store, path); !done) return fail(context, done.error());
  } else {
    v1::AdminBackupRequest request;
    request.set_path(path);
    if (const auto done = engine->call(&engine::Admin::backup, request); !done) return fail(context, done.error());
  }
  std::error_code ignored;
  const std::uint64_t bytes = std::filesystem::file_size(path, ignored);
  context.terminal.out_line(context.terminal.format() == Format::kText
                                ? fmt::format("{}  {} bytes", path, bytes)
                                : to_text(Json{{"path", path}, {"bytes", bytes}}));
  return Exit::kOk;
}

Result<engine::Pruned> prune_at_rest(const Place& place, const engine::Getenv& environment, const DbValues& values) {
  WEFT_RETURN_IF_ERROR(require_trust(place, environment));
  memory::SqliteOptions store;
  store.path = place.store;
  // Its lock keeps an engine from beginning meanwhile.
  WEFT_TRY(const auto journal, memory::open_sqlite(store));
  WEFT_RETURN_IF_ERROR(note_trusted(place, environment));
  engine::PruneOrder order;
  order.now = SystemClock().now();
  order.older_than = values.older_than;
  order.workflow = values.workflow;
  if (values.dry_run) order.mode = engine::PruneOrder::Mode::kCount;
  const std::atomic<bool> stop = false;
  return engine::prune(*journal->maintenance(), place.config.retention, order, stop);
}

Result<engine::Pruned> prune_at_work(Target& engine, const DbValues& values) {
  v1::AdminPruneRequest request;
  if (values.older_than) request.set_older_than_us(values.older_than->count());
  request.set_workflow(values.workflow);
  request.set_dry_run(values.dry_run);
  WEFT_TRY(const v1::AdminPruneResponse response, engine.call(&engine::Admin::prune, request));
  return engine::Pruned{response.runs(), response.runs_kept(), response.blobs()};
}

Exit prune(const Context& context, const Place& place, const DbValues& values) {
  const auto engine = find_engine(place, Patience::kCare);
  if (engine == nullptr && !place.store_exists) return fail(context, no_store(place.store));
  WEFT_COMMAND_TRY(
      context, const engine::Pruned pruned,
      engine == nullptr ? prune_at_rest(place, context.environment, values) : prune_at_work(*engine, values));
  if (context.terminal.format() != Format::kText) {
    context.terminal.out_line(to_text(
        Json{{"runs", pruned.runs}, {"runs_kept", pruned.kept}, {"blobs", pruned.blobs}, {"dry_run", values.dry_run}}));
    return Exit::kOk;
  }
  std::string line =
      fmt::format("{} {}", count_of(pruned.runs, "run"), values.dry_run ? "would be removed" : "removed");
  if (!values.dry_run && pruned.blobs > 0) line += fmt::format(", with {}", count_of(pruned.blobs, "content"));
  if (pruned.kept > 0) line += fmt::format("; {} old enough but still needed", count_of(pruned.kept, "run"));
  context.terminal.out_line(line);
  return Exit::kOk;
}

Exit db(const Context& context, const DbValues& values) {
  if (values.action != "backup" && !values.path.empty()) {
    return fail(context,
                invalid_argument(fmt::format("weft db {} takes no PATH; another store is named with --store {}",
                                             values.action, values.path)));
  }
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, values.action == "prune" ? Use::kAct : Use::kRead));
  if (values.action == "verify") return verify(context, place);
  if (values.action == "backup") return backup(context, place, values.path);
  return prune(context, place, values);
}

}  // namespace

Command db_command() {
  return {"db", Group::kStore, "Verify a store, back it up, or remove old runs from it",
          [] { return bound<DbValues>(describe, db); }};
}

}  // namespace weft::cli
