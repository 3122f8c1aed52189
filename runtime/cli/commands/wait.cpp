// `weft wait`: until runs have ended.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/render/event_line.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/json_view.h"

namespace weft::cli {
namespace {

struct WaitValues {
  std::vector<std::string> runs;
  std::optional<Duration> timeout;
};

Options describe(WaitValues& values) {
  return {
      required("RUN", "Ids, unique beginnings of them, or @latest", &values.runs),
      option("--timeout", "TIME", "Wait at most so long: 30s, 5m", &values.timeout),
  };
}

Exit wait(const Context& context, const WaitValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  Exit exit = Exit::kOk;
  Json list = Json::array();
  const SystemClock clock;
  const Duration until = clock.monotonic() + values.timeout.value_or(Duration::zero());
  for (const std::string& key : values.runs) {
    v1::RunsWaitRequest request;
    request.set_run_id(key);
    if (values.timeout) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - clock.monotonic());
      request.set_timeout_ms(std::max<std::int64_t>(1, left.count()));
    }
    WEFT_COMMAND_TRY(context, const auto waited, target->wait(request));
    const v1::Run& run = waited.run();
    if (is_under_way(run.status())) {
      context.terminal.error(
          {Code::kDeadlineExceeded, fmt::format("run {} is still {}", run.id(), status_name(run.status())), {}});
      exit = graver(exit, Exit::kFailed);
    } else {
      exit = graver(exit, exit_for(run.status()));
    }
    WEFT_COMMAND_TRY(context, Json json, run_json(run, target->fetch(run.id())));
    if (context.terminal.is_text()) context.terminal.out_line(run_line(run, context.terminal.out_look()));
    if (context.terminal.format() == Format::kNdjson) context.terminal.out_line(to_text(json));
    list.push_back(std::move(json));
  }
  if (context.terminal.format() != Format::kJson) return exit;
  Json all = Json::object();
  all["runs"] = list;
  context.terminal.out_line(to_text(list.size() == 1 ? list.front() : all));
  return exit;
}

}  // namespace

Command wait_command() {
  return {"wait", Group::kLook, "Wait until runs have ended or need somebody",
          [] { return bound<WaitValues>(describe, wait); }};
}

}  // namespace weft::cli
