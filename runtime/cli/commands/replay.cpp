// `weft replay`: a run taken again from its record, and compared.
#include "runtime/engine/replay.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/render/figures.h"

namespace weft::cli {
namespace {

struct ReplayValues {
  std::string run;
  bool deep = false;
};

Options describe(ReplayValues& values) {
  return {
      run_argument(values.run),
      flag("--deep", "Also check each content by its hash, and each cost by its price", &values.deep),
  };
}

std::string compared(const v1::TracesReplayResponse& replayed) {
  std::string text =
      fmt::format("{}, {}, {}, {}", counted(replayed.events(), "event"), counted(replayed.decisions(), "decision"),
                  counted(replayed.requests(), "request"), counted(replayed.arguments(), "tool call"));
  if (replayed.contents() > 0) text += ", " + counted(replayed.contents(), "content");
  if (replayed.costs() > 0) text += ", " + counted(replayed.costs(), "cost");
  return text;
}

Json replay_json(const v1::TracesReplayResponse& replayed) {
  Json json = Json::object();
  json["run_id"] = replayed.run_id();
  json["equal"] = replayed.differences_found() == 0;
  json["events"] = replayed.events();
  json["decisions"] = replayed.decisions();
  json["requests"] = replayed.requests();
  json["tool_calls"] = replayed.arguments();
  json["contents"] = replayed.contents();
  json["costs"] = replayed.costs();
  json["differences_found"] = replayed.differences_found();
  json["differences"] = Json::array();
  for (const v1::Difference& difference : replayed.differences()) {
    json["differences"].push_back(
        Json{{"seq", difference.seq()}, {"path", difference.path()}, {"what", difference.what()}});
  }
  return json;
}

Exit replay(const Context& context, const ReplayValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  v1::TracesReplayRequest request;
  request.set_run_id(values.run);
  request.set_deep(values.deep);
  const auto replayed = [&]() -> Result<v1::TracesReplayResponse> {
    if (place.server.empty() && !place.store_exists) return no_store(place.store);
    if (const auto engine = find_engine(place)) return engine->call(&engine::Api::replay, request);
    return engine::replay_archive(place.store, place.config, context.environment, request);
  }();
  if (!replayed) return fail(context, replayed.error());
  Terminal& terminal = context.terminal;
  if (!terminal.is_text()) {
    terminal.out_line(to_text(replay_json(*replayed)));
  } else if (replayed->differences_found() == 0) {
    terminal.out_line(fmt::format("equal: {}", compared(*replayed)));
  } else {
    for (const v1::Difference& difference : replayed->differences()) {
      terminal.out_line(
          printable(fmt::format("event {}{}{}: {}", difference.seq(), difference.path().empty() ? "" : " at ",
                                difference.path(), difference.what())));
    }
    terminal.out_line(
        fmt::format("differs: {} in {}", counted(replayed->differences_found(), "difference"), compared(*replayed)));
  }
  return replayed->differences_found() == 0 ? Exit::kOk : Exit::kGate;
}

}  // namespace

Command replay_command() {
  return {"replay", Group::kPast, "Run it again from its record, without network, and compare",
          [] { return bound<ReplayValues>(describe, replay); }};
}

}  // namespace weft::cli
