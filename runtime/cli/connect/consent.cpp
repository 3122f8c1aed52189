#include "runtime/cli/connect/consent.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "base/bytes.h"
#include "memory/journal/identity.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/connect/trust_list.h"
#include "runtime/cli/render/figures.h"

namespace weft::cli {
namespace {

std::string sets_of(const FoundConfig& config) {
  return fmt::format("{} was found and not named, and sets {}", printable(config.path),
                     printable(fmt::format("{}", fmt::join(config.keys, ", "))));
}

// "2 unfinished runs and 1 schedule"; how many schedules only a reader of workflows can tell.
std::string holdings_of(const memory::IdentifiedStore& store) {
  std::size_t schedules = 0;
  if (const auto archive = open_archive(store.identity.path)) {
    v1::SchedulesListRequest request;
    constexpr std::int32_t kShownMax = 1'000;
    request.set_page_size(kShownMax);
    if (const auto listed = (*archive)->call(&engine::Api::list_schedules, request)) {
      schedules = static_cast<std::size_t>(listed->schedules_size());
    }
  }
  return fmt::format("{} and {}", counted(store.work.runs_unfinished, "unfinished run"),
                     counted(schedules, "schedule"));
}

bool is_empty(const memory::StoreWork& work) { return work.runs == 0 && work.workflows == 0; }

Error not_yours(const memory::IdentifiedStore& store, const TrustList& list) {
  const std::string origin = list.copied_from(store.identity);
  const std::string whose = origin.empty()
                                ? "is no store that you have made or trusted"
                                : fmt::format("is a copy of your store {}, or took its place", printable(origin));
  return permission_denied(fmt::format(
      "{} {}, so nothing of it goes on or is removed in your name; it holds {}: look with `weft runs`, then "
      "`weft trust` takes it over, and --store PATH names another one",
      printable(store.identity.path), whose, holdings_of(store)));
}

// A store that was found holds by the list alone.
Error no_list(const Error& why) {
  return permission_denied(fmt::format(
      "{}, and a store that was found and not named goes on only where it is on that list: mend it, or name "
      "the store with --store PATH",
      why.message));
}

Status can_be_listed(const TrustList& list) {
  const Status prepared = list.prepare();
  return prepared ? Status() : Status(no_list(prepared.error()));
}

}  // namespace

Result<Place> place_for(const Context& context, Use use) {
  WEFT_TRY(Place place, find_place(context.global, context.environment, context.folder));
  if (!place.found_config || place.found_config->in_force) return place;
  if (use == Use::kAct) WEFT_RETURN_IF_ERROR(require_trust(place, context.environment));
  context.terminal.err_line(
      fmt::format("the defaults hold: {}, which holds after `weft trust`", sets_of(*place.found_config)));
  return place;
}

Status require_trust(const Place& place, const engine::Getenv& environment) {
  const auto list = TrustList::open(environment);
  if (place.found_config && !place.found_config->in_force) {
    Error error = permission_denied(
        fmt::format("{}: nothing is run or removed before `weft trust` has put it in force, and --config FILE names "
                    "another one",
                    sets_of(*place.found_config)));
    if (!list) error.message += "; " + list.error().message;
    return error;
  }
  if (!place.server.empty() || place.store_origin == Origin::kNamed) return {};
  if (!list) return no_list(list.error());
  if (!place.store_exists) return can_be_listed(*list);
  WEFT_TRY(const memory::IdentifiedStore store, memory::identify_sqlite(place.store));
  if (list->has(store.identity)) return {};
  if (is_empty(store.work)) return can_be_listed(*list);
  return not_yours(store, *list);
}

Status note_trusted(const Place& place, const engine::Getenv& environment) {
  const auto note = [&]() -> Status {
    WEFT_TRY(TrustList list, TrustList::open(environment));
    WEFT_TRY(const memory::IdentifiedStore store, memory::identify_sqlite(place.store));
    return list.has(store.identity) ? Status() : list.add(store.identity);
  };
  Status noted = note();
  if (noted || place.store_origin == Origin::kFound) return noted;
  spdlog::warn("{} is not on the list of your stores, so it has to be named each time: {}", place.store,
               noted.error().message);
  return {};
}

}  // namespace weft::cli
