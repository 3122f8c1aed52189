// `weft trust`: a weft.yaml and a store that were found, looked at, and put on the list of their user.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "memory/journal/identity.h"
#include "memory/journal/journal.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/cli/connect/place.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/connect/trust_list.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/table.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kRunsShownMax = 20;
constexpr std::uint32_t kSchedulesShownMax = 100;

struct TrustValues {
  std::string path;  // A folder, a store or a weft.yaml; empty: what is found from the current folder.
  bool show = false;
  bool revoke = false;
};

Options describe(TrustValues& values) {
  return {
      optional("PATH", "A folder, a weft.yaml or a store; what is found from the current folder by default",
               &values.path),
      flag("--show", "List what you have made or trusted", &values.show),
      without("--show", flag("--revoke", "Take back what is on the list at PATH or beneath it", &values.revoke)),
  };
}

// What could be trusted.
struct Candidates {
  std::optional<FoundConfig> config;
  std::string store;  // Empty: none.
};

Result<Candidates> candidates_at(const Context& context, const std::string& path) {
  const std::string whole = (fs::path(context.folder) / path).lexically_normal().string();
  std::error_code fault;
  if (!path.empty() && !fs::exists(whole, fault)) return not_found(fmt::format("there is no {}", printable(whole)));
  if (whole.ends_with(".yaml") || whole.ends_with(".yml")) {
    WEFT_TRY(FoundConfig config, find_config(whole, context.environment));
    return Candidates{std::move(config), ""};
  }
  if (!path.empty() && !fs::is_directory(whole, fault)) return Candidates{std::nullopt, whole};
  WEFT_TRY(const Place place, find_place(context.global, context.environment, path.empty() ? context.folder : whole));
  if (!place.server.empty()) {
    return invalid_argument("weft trust looks at files of this machine: --server and WEFT_SERVER name another one");
  }
  return Candidates{place.found_config, place.store_exists ? place.store : ""};
}

struct StoreContents {
  memory::IdentifiedStore store;
  v1::RunsListResponse unfinished;  // The newest.
  v1::SchedulesListResponse schedules;
};

Result<StoreContents> contents_of(const std::string& path) {
  StoreContents contents;
  WEFT_TRY(contents.store, memory::identify_sqlite(path));
  if (contents.store.work.runs == 0 && contents.store.work.workflows == 0) return contents;
  WEFT_TRY(const auto archive, open_archive(path));
  v1::RunsListRequest runs;
  runs.set_page_size(kRunsShownMax);
  for (const v1::RunStatus status : {v1::RUN_STATUS_QUEUED, v1::RUN_STATUS_RUNNING, v1::RUN_STATUS_WAITING,
                                     v1::RUN_STATUS_IN_DOUBT, v1::RUN_STATUS_PAUSED}) {
    runs.add_statuses(status);
  }
  WEFT_TRY(contents.unfinished, archive->call(&engine::Api::list_runs, runs));
  v1::SchedulesListRequest schedules;
  schedules.set_page_size(kSchedulesShownMax);
  WEFT_TRY(contents.schedules, archive->call(&engine::Api::list_schedules, schedules));
  return contents;
}

void print_found(Terminal& terminal, const Candidates& found, const std::optional<StoreContents>& contents) {
  if (found.config) {
    terminal.out_line(fmt::format("{} sets {}", printable(found.config->path),
                                  found.config->keys.empty()
                                      ? "nothing that needs trust"
                                      : printable(fmt::format("{}", fmt::join(found.config->keys, ", ")))));
  }
  if (!contents) return;
  const memory::StoreWork& work = contents->store.work;
  terminal.out_line(fmt::format("{} holds {}, {} unfinished, and {}", printable(contents->store.identity.path),
                                counted(work.runs, "run"), work.runs_unfinished,
                                counted(static_cast<std::size_t>(contents->schedules.schedules_size()), "schedule")));
  for (const v1::Run& run : contents->unfinished.runs()) {
    terminal.out_line(
        fmt::format("  {}  {}  {}", printable(run.id()), printable(run.workflow()), status_name(run.status())));
  }
  const auto shown = static_cast<std::uint64_t>(contents->unfinished.runs_size());
  if (work.runs_unfinished > shown) terminal.out_line(fmt::format("  and {} more", work.runs_unfinished - shown));
  for (const v1::Schedule& schedule : contents->schedules.schedules()) {
    terminal.out_line(fmt::format("  {}  {} {}", printable(schedule.workflow()), printable(schedule.spec().schedule()),
                                  printable(schedule.spec().zone())));
  }
}

Json json_of(const FoundConfig& config) {
  Json keys = Json::array();
  for (const std::string& key : config.keys) keys.push_back(key);
  return {{"path", config.path}, {"sha256", config.sha256}, {"keys", std::move(keys)}};
}

Json json_of(const StoreContents& contents) {
  Json unfinished = Json::array();
  for (const v1::Run& run : contents.unfinished.runs()) {
    unfinished.push_back({{"run_id", run.id()}, {"workflow", run.workflow()}, {"status", status_name(run.status())}});
  }
  Json schedules = Json::array();
  for (const v1::Schedule& schedule : contents.schedules.schedules()) schedules.push_back(schedule.workflow());
  return {{"path", contents.store.identity.path},
          {"runs", contents.store.work.runs},
          {"runs_unfinished", contents.store.work.runs_unfinished},
          {"unfinished", std::move(unfinished)},
          {"schedules", std::move(schedules)}};
}

// A store from before stores had an id gets one, as an engine would give it.
Result<memory::StoreIdentity> identity_of(const StoreContents& contents) {
  if (contents.store.identity.id != 0) return contents.store.identity;
  memory::SqliteOptions options;
  options.path = contents.store.identity.path;
  WEFT_TRY(const auto journal, memory::open_sqlite(options));
  WEFT_TRY(const memory::IdentifiedStore again, memory::identify_sqlite(options.path));
  return again.identity;
}

Exit trust_found(const Context& context, const TrustValues& values) {
  WEFT_COMMAND_TRY(context, const Candidates found, candidates_at(context, values.path));
  if (!found.config && found.store.empty()) {
    return fail(context, not_found("there is no store and no weft.yaml here that could be trusted"));
  }
  std::optional<StoreContents> contents;
  if (!found.store.empty()) {
    WEFT_COMMAND_TRY(context, contents, contents_of(found.store));
  }
  Terminal& terminal = context.terminal;
  // First what it is about: who reads it may still take it back.
  if (terminal.is_text()) print_found(terminal, found, contents);
  WEFT_COMMAND_TRY(context, TrustList list, TrustList::open(context.environment));
  const bool needs_config = found.config && !found.config->keys.empty();
  if (needs_config) {
    if (const Status added = list.add(found.config->path, found.config->sha256); !added)
      return fail(context, added.error());
  }
  if (contents) {
    WEFT_COMMAND_TRY(context, const memory::StoreIdentity identity, identity_of(*contents));
    if (!list.has(identity)) {
      if (const Status added = list.add(identity); !added) return fail(context, added.error());
    }
  }
  if (!terminal.is_text()) {
    terminal.out_line(to_text(Json{{"config", found.config ? json_of(*found.config) : Json(nullptr)},
                                   {"store", contents ? json_of(*contents) : Json(nullptr)}}));
    return Exit::kOk;
  }
  if (needs_config) terminal.err_line("the configuration holds from now on, as long as it stays as it is");
  if (contents) terminal.err_line("the store is one of yours: the next engine takes up what it holds");
  return Exit::kOk;
}

Exit show_list(const Context& context) {
  WEFT_COMMAND_TRY(context, const TrustList list, TrustList::open(context.environment));
  if (!context.terminal.is_text()) {
    Json json{{"stores", Json::array()}, {"configurations", Json::array()}};
    for (const TrustedStore& store : list.stores()) {
      json["stores"].push_back({{"path", store.identity.path}, {"since", store.since}});
    }
    for (const TrustedConfig& config : list.configurations()) {
      json["configurations"].push_back({{"path", config.path}, {"sha256", config.sha256}, {"since", config.since}});
    }
    context.terminal.out_line(to_text(json));
    return Exit::kOk;
  }
  std::vector<std::vector<std::string>> rows{{"WHAT", "SINCE", "PATH"}};
  for (const TrustedStore& store : list.stores()) {
    rows.push_back({"store", printable(store.since), printable(store.identity.path)});
  }
  for (const TrustedConfig& config : list.configurations()) {
    rows.push_back({"configuration", printable(config.since), printable(config.path)});
  }
  context.terminal.out(table(rows));
  return Exit::kOk;
}

Exit revoke_trust(const Context& context, const TrustValues& values) {
  WEFT_COMMAND_TRY(context, TrustList list, TrustList::open(context.environment));
  const std::string path = (fs::path(context.folder) / values.path).lexically_normal().string();
  WEFT_COMMAND_TRY(context, const std::size_t removed, list.remove(path));
  if (removed == 0)
    return fail(context, not_found(fmt::format("nothing at or beneath {} is trusted", printable(path))));
  context.terminal.out_line(
      context.terminal.is_text()
          ? fmt::format("{} taken off the list", removed == 1 ? "1 entry" : fmt::format("{} entries", removed))
          : to_text(Json{{"removed", removed}}));
  return Exit::kOk;
}

Exit trust(const Context& context, const TrustValues& values) {
  if (values.show) return show_list(context);
  if (values.revoke) return revoke_trust(context, values);
  return trust_found(context, values);
}

}  // namespace

Command trust_command() {
  return {"trust", Group::kStore, "Accept a weft.yaml or a store that you did not make here",
          [] { return bound<TrustValues>(describe, trust); }};
}

}  // namespace weft::cli
