// `weft drain`: the engine takes no more runs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/render/figures.h"
#include "runtime/engine/maintenance/admin.h"

namespace weft::cli {
namespace {

struct DrainValues {
  std::optional<Duration> wait;
};

Options describe(DrainValues& values) {
  return {
      at_most(
          engine::kDrainPatienceMax, "a drain is waited for at most 10m; ask again after that",
          option("--wait", "TIME", "Wait until no run is at work, at most so long, as 30s; 10m at most", &values.wait)),
  };
}

Exit drain(const Context& context, const DrainValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  WEFT_COMMAND_TRY(context, const auto engine, open_engine(place, Patience::kCare));
  v1::AdminDrainRequest request;
  if (values.wait) request.set_patience_ms(values.wait->count() / 1'000);
  WEFT_COMMAND_TRY(context, const v1::AdminDrainResponse drained, engine->call(&engine::Admin::drain, request));
  const std::uint64_t left = drained.runs_left();
  if (context.terminal.is_text()) {
    context.terminal.out_line(left == 0 ? "takes no more runs; none is at work"
                                        : fmt::format("takes no more runs; {} still at work", counted(left, "run")));
  } else {
    context.terminal.out_line(to_text(Json{{"runs_left", left}}));
  }
  return values.wait && left > 0 ? Exit::kFailed : Exit::kOk;
}

}  // namespace

Command drain_command() {
  return {"drain", Group::kStore, "Take no more runs; those at work go on",
          [] { return bound<DrainValues>(describe, drain); }};
}

}  // namespace weft::cli
