// The care of a store: look through it, copy it, remove what is old. Through its engine where one runs.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "memory/care.h"
#include "memory/inspection.h"
#include "runtime/cli/admin.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/place.h"
#include "runtime/cli/target.h"
#include "runtime/engine/retention.h"
#include "runtime/engine/verify.h"

namespace weft::cli {
namespace {

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
  const auto verified = engine::verify(*store, [&](const engine::Fault& fault) {
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

// The engine's address; empty where none runs.
std::string engine_of(const Place& place) {
  if (!place.server.empty()) return place.server;
  return engine_answers(place) ? "unix:" + place.socket : std::string();
}

Exit backup(const Context& context, const Place& place, const std::string& to) {
  if (to.empty()) return fail(context, invalid_argument("weft db backup PATH: where the copy goes is missing"));
  const std::string path = (std::filesystem::path(context.folder) / to).lexically_normal().string();
  const std::string address = engine_of(place);
  if (address.empty()) {
    if (!place.store_exists) return fail(context, no_store(place.store));
    if (const Status done = memory::backup_sqlite(place.store, path); !done) return fail(context, done.error());
  } else {
    v1::AdminBackupRequest request;
    request.set_path(path);
    if (const auto done = connect_admin(address)->backup(request); !done) return fail(context, done.error());
  }
  std::error_code ignored;
  const std::uint64_t bytes = std::filesystem::file_size(path, ignored);
  context.terminal.out_line(context.terminal.format() == Format::kText
                                ? fmt::format("{}  {} bytes", path, bytes)
                                : to_text(Json{{"path", path}, {"bytes", bytes}}));
  return Exit::kOk;
}

Result<engine::Pruned> prune_at_rest(const Place& place, const DbOptions& options) {
  memory::SqliteOptions store;
  store.path = place.store;
  // Its lock keeps an engine from beginning meanwhile.
  WEFT_TRY(const auto journal, memory::open_sqlite(store));
  engine::PruneOrder order;
  order.now = SystemClock().now();
  order.older_than = options.older_than;
  order.workflow = options.workflow;
  if (options.dry_run) order.mode = engine::PruneOrder::Mode::kCount;
  const std::atomic<bool> stop = false;
  return engine::prune(*journal->care(), place.config.retention, order, stop);
}

Result<engine::Pruned> prune_at_work(const std::string& address, const DbOptions& options) {
  v1::AdminPruneRequest request;
  if (options.older_than) request.set_older_than_us(options.older_than->count());
  request.set_workflow(options.workflow);
  request.set_dry_run(options.dry_run);
  WEFT_TRY(const v1::AdminPruneResponse response, connect_admin(address)->prune(request));
  return engine::Pruned{response.runs(), response.runs_kept(), response.blobs()};
}

Exit prune(const Context& context, const Place& place, const DbOptions& options) {
  const std::string address = engine_of(place);
  if (address.empty() && !place.store_exists) return fail(context, no_store(place.store));
  WEFT_COMMAND_TRY(context, const engine::Pruned pruned,
                   address.empty() ? prune_at_rest(place, options) : prune_at_work(address, options));
  if (context.terminal.format() != Format::kText) {
    context.terminal.out_line(to_text(Json{
        {"runs", pruned.runs}, {"runs_kept", pruned.kept}, {"blobs", pruned.blobs}, {"dry_run", options.dry_run}}));
    return Exit::kOk;
  }
  std::string line =
      fmt::format("{} {}", count_of(pruned.runs, "run"), options.dry_run ? "would be removed" : "removed");
  if (!options.dry_run && pruned.blobs > 0) line += fmt::format(", with {}", count_of(pruned.blobs, "content"));
  if (pruned.kept > 0) line += fmt::format("; {} old enough but still needed", count_of(pruned.kept, "run"));
  context.terminal.out_line(line);
  return Exit::kOk;
}

}  // namespace

Exit execute(const Context& context, const DbOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  if (options.action == "verify") return verify(context, place);
  if (options.action == "backup") return backup(context, place, options.path);
  return prune(context, place, options);
}

}  // namespace weft::cli
