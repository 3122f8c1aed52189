// `weft events`: the events of a run.
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/render/event_json.h"

namespace weft::cli {
namespace {

struct EventsValues {
  std::string run;
  std::uint64_t from = 0;
  bool follow = false;
};

Options describe(EventsValues& values) {
  return {
      run_argument(values.run),
      option("--from", "SEQ", "Begin with this sequence number", &values.from),
      flag("-f,--follow", "Print events as they happen", &values.follow),
  };
}

Exit events(const Context& context, const EventsValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  const auto print = [&](const v1::Event& event) {
    const std::string line = to_text(event_json(event));
    // The same JSON, and for people nothing hides in it.
    context.terminal.out_line(context.terminal.is_text() ? shown_json(line) : line);
  };
  if (!values.follow) {
    WEFT_COMMAND_TRY(context, const v1::Run run, target->find_run(values.run));
    const Status read = target->for_each_event(run.id(), values.from, print);
    return read ? Exit::kOk : fail(context, read.error());
  }
  v1::RunsWatchRequest request;
  request.set_run_id(values.run);
  request.set_from_seq(values.from);
  const Status status = target->watch(request, [&](const v1::RunsWatchResponse& message) {
    if (message.has_event()) print(message.event());
    return context.terminal.out_closed() ? Go::kStop : Go::kOn;
  });
  return status ? Exit::kOk : fail(context, status.error());
}

}  // namespace

Command events_command() {
  return {"events", Group::kLook, "Print the events of a run, one JSON object a line",
          [] { return bound<EventsValues>(describe, events); }};
}

}  // namespace weft::cli
