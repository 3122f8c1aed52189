#include "runtime/cli/render/figures.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/time.h"
#include "runtime/cli/render/json_view.h"
#include "runtime/model/catalog.h"

namespace weft::cli {
namespace {

std::string count_text(bool known, std::uint64_t count) { return known ? std::to_string(count) : "-"; }

}  // namespace

std::string counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string usd_text(const v1::Cost* cost) {
  if (cost == nullptr) return "-";
  std::string text = "$" + model::to_usd(cost->pico_usd());
  if (cost->partial()) text += " and what is not known";
  if (cost->simulated()) text += " simulated";
  return text;
}

std::string usage_text(const v1::Usage& usage) {
  std::string text = fmt::format("hit {} / miss {} / out {}", count_text(usage.has_input_hit(), usage.input_hit()),
                                 count_text(usage.has_input_miss(), usage.input_miss()),
                                 count_text(usage.has_output(), usage.output()));
  if (usage.input_write() > 0) text += fmt::format(" / write {}", usage.input_write());
  if (usage.reasoning() > 0) text += fmt::format(" / reasoning {}", usage.reasoning());
  if (usage.estimated()) text += " (estimated)";
  return text;
}

std::string skip_letter(const std::string& reason) {
  if (reason == "switch") return "a";
  if (reason == "no_result") return "b";
  if (reason == "needs") return "c";
  if (reason == "when") return "d";
  return "";
}

std::string skip_text(const v1::StepResult& result, const std::string& cause) {
  const std::string& reason = result.reason();
  if (reason == "switch") return fmt::format("skipped (a): switch {} did not choose it", cause);
  if (reason == "no_result") return fmt::format("skipped (b): {} has no result", cause);
  if (reason == "needs") return fmt::format("skipped (c): all it needs was skipped or cancelled, as {}", cause);
  if (reason == "when") return fmt::format("skipped (d): when {} is false", cause);
  if (reason.empty()) return "skipped";
  return "skipped: " + reason + (cause.empty() ? "" : ": " + cause);
}

std::string took_text(std::int64_t from_us, std::int64_t to_us) {
  return to_text(Duration(std::max<std::int64_t>(0, to_us - from_us)));
}

std::string run_line(const v1::Run& run, const Look& look) {
  const bool well = run.status() == v1::RUN_STATUS_SUCCEEDED || run.status() == v1::RUN_STATUS_ABSTAINED;
  const bool bad = run.status() == v1::RUN_STATUS_FAILED || run.status() == v1::RUN_STATUS_IN_DOUBT;
  std::string text = fmt::format("{}  {}  {}", run.id(), printable(run.workflow()),
                                 paint(look,
                                       well  ? Colour::kGreen
                                       : bad ? Colour::kRed
                                             : Colour::kYellow,
                                       status_name(run.status())));
  if (run.ended_at_us() != 0) text += "  " + took_text(run.submitted_at_us(), run.ended_at_us());
  text += fmt::format("  {}, {}, {}  {}  {}", counted(run.steps_ended(), "step"),
                      counted(run.model_calls(), "model call"), counted(run.tool_calls(), "tool call"),
                      usage_text(run.usage()), usd_text(run.has_cost() ? &run.cost() : nullptr));
  if (run.model_calls_lost() > 0) text += fmt::format("  {} lost, estimated", run.model_calls_lost());
  if (run.simulated() && !run.cost().simulated()) text += "  simulated";
  if (run.undos_failed() > 0)
    text += "  " + paint(look, Colour::kRed, fmt::format("{} not undone", counted(run.undos_failed(), "effect")));
  if (run.doubts_open() > 0)
    text += "  " + paint(look, Colour::kRed, fmt::format("{} in doubt", counted(run.doubts_open(), "call")));
  if (!run.waits_for().empty()) text += "  waits for " + printable(run.waits_for());
  return text;
}

}  // namespace weft::cli
