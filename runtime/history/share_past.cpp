#include "runtime/history/share_past.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "runtime/history/content_store.h"
#include "runtime/history/event_blobs.h"
#include "runtime/history/event_codec.h"
#include "runtime/run/run.h"
#include "workflows/path.h"

namespace weft::history {
namespace {

constexpr std::size_t kMisfitsMax = 50;  // Named in one answer.
constexpr std::size_t kPathsShown = 12;
constexpr std::string_view kUndo = "/undo";

// `draft~3:4.2`: an instance, and perhaps a turn or a call of it.
struct Point {
  std::string text;
  std::string path;
  std::uint32_t turn = 0;
  std::uint32_t call = 0;
};

Result<Point> read_point(const std::string& text) {
  const auto bad = [&] {
    return invalid_argument(
        fmt::format("\"{}\" is no path: name a step as the trace does, such as draft, search[7], reply#2/draft, or "
                    "draft:4 for the fourth turn of an agent",
                    printable(text)));
  };
  Point point;
  point.text = text;
  const std::size_t colon = text.rfind(':');
  point.path = text.substr(0, colon);
  if (point.path.empty() || point.path.ends_with(kUndo)) return bad();
  if (colon == std::string::npos) return point;
  const char* end = text.data() + text.size();
  auto read = std::from_chars(text.data() + colon + 1, end, point.turn);
  if (read.ec != std::errc() || point.turn == 0) return bad();
  if (read.ptr == end) return point;
  if (*read.ptr != '.') return bad();
  read = std::from_chars(read.ptr + 1, end, point.call);
  if (read.ec != std::errc() || read.ptr != end || point.call == 0) return bad();
  return point;
}

bool begins_at(const Point& point, const v1::Event& event) {
  // What was cut off before it began, or where it stood, begins nowhere there.
  if (event.step_ended().result().status() == v1::STEP_STATUS_CANCELLED) return false;
  const bool named = workflows::names_path(point.path, event.path(), std::max(event.attempt(), 1U));
  if (!named || point.turn == 0) return named;
  if (event.turn() != point.turn) return false;
  if (point.call == 0) return event.has_model_call_started() || event.has_call_refused();
  const bool of_tool = event.has_tool_call_started() || event.has_tool_call_ended() || event.has_tool_call_in_doubt();
  return of_tool && event.call() == point.call;
}

Result<std::vector<v1::Event>> read_events(const memory::Reader& reader, const std::string& run) {
  std::vector<v1::Event> all;
  std::size_t bytes = 0;
  WEFT_RETURN_IF_ERROR(for_each_event(reader, run, 1, [&](const v1::Event& event) -> Result<bool> {
    bytes += event.ByteSizeLong();
    if (bytes > kForkBytesMax) {
      return resource_exhausted(fmt::format("run {} has more than {} bytes of events, which is the limit of a fork",
                                            run, kForkBytesMax))
          .with("limit", "fork_bytes_max");
    }
    all.push_back(event);
    return true;
  }));
  return all;
}

// What is made anew: all that begins at a point, or behind it in the same instance.
bool is_made_anew(const Point& point, const v1::Event& event) {
  if (!workflows::names_path(point.path, event.path(), std::max(event.attempt(), 1U))) return false;
  if (event.turn() != point.turn) return event.turn() > point.turn;
  return point.call == 0 || event.call() == point.call;
}

Result<std::vector<Point>> read_points(const v1::RunsForkRequest& request) {
  std::vector<Point> points(1);
  WEFT_TRY(points[0], read_point(request.from()));
  for (const std::string& text : request.rerun()) {
    WEFT_TRY(points.emplace_back(), read_point(text));
  }
  return points;
}

// Where the first of the points begins; NOT_FOUND where one of them never did.
Result<std::size_t> find_cut(const std::vector<v1::Event>& events, const std::vector<Point>& points,
                             const std::string& run) {
  std::size_t cut = events.size();
  for (const Point& point : points) {
    const auto found = std::ranges::find_if(events, [&](const v1::Event& event) { return begins_at(point, event); });
    if (found != events.end()) {
      cut = std::min(cut, static_cast<std::size_t>(found - events.begin()));
      continue;
    }
    std::vector<std::string> paths;
    std::uint32_t turns = 0;
    for (const v1::Event& event : events) {
      if (workflows::names_path(point.path, event.path(), std::max(event.attempt(), 1U)))
        turns = std::max(turns, event.turn());
      const bool shown = event.path().empty() || event.path().ends_with(kUndo) ||
                         std::ranges::find(paths, event.path()) != paths.end();
      if (!shown && paths.size() <= kPathsShown) paths.push_back(event.path());
    }
    const bool more = paths.size() > kPathsShown;
    if (more) paths.pop_back();
    std::string been = paths.empty() ? "no step yet" : fmt::format("{}", fmt::join(paths, ", "));
    if (more) been += fmt::format(" and others (weft trace {})", run);
    if (turns > 0) been = fmt::format("{} and had {} turns there", point.path, turns);
    return not_found(fmt::format("run {} did nothing at \"{}\"; it has been at {}", run, printable(point.text), been));
  }
  return cut;
}

bool takes_back(const v1::Event& event) {
  return event.path().ends_with(kUndo) && event.step_ended().result().status() == v1::STEP_STATUS_SUCCEEDED;
}
std::string undone_call(const v1::Event& event) { return event.path().substr(0, event.path().size() - kUndo.size()); }

using Misfit = std::optional<std::string>;

// Why the event cannot have happened under the workflow; nothing: it can.
Result<Misfit> misfit(const v1::Event& event, const workflows::Workflow& workflow, run::Contents& contents) {
  std::string_view rest = event.path();
  const workflows::Step* step = nullptr;
  workflows::PathSegment segment;
  for (const workflows::Scope* scope = &workflow.scopes[0]; !rest.empty();) {
    segment = workflows::take_segment(rest);
    const auto found = std::ranges::find_if(
        scope->steps, [&](workflows::StepId id) { return workflow.step(id).name == segment.name; });
    if (found == scope->steps.end()) return Misfit(fmt::format("there is no step {}", segment.name));
    step = &workflow.step(*found);
    if (segment.key && !step->for_each) return Misfit(fmt::format("{} has no for_each", segment.name));
    if (segment.round > 0 && !step->repeat) return Misfit(fmt::format("{} has no repeat", segment.name));
    if (rest.empty()) break;
    const auto* group = std::get_if<workflows::GroupBody>(&step->body);
    if (group == nullptr) return Misfit(fmt::format("{} is no group", segment.name));
    scope = &workflow.scopes[group->scope];
  }
  if (event.has_attempt_started()) {
    if (event.attempt_started().kind() != run::kind_on_wire(step->kind)) return Misfit("it is of another kind");
    if (step->for_each && !segment.key) return Misfit("it has a for_each");
    if (step->repeat && segment.round == 0) return Misfit("it has a repeat");
  }
  if (event.has_fan_out_started() && !step->for_each) return Misfit("it has no for_each");
  const auto* tool = std::get_if<workflows::ToolBody>(&step->body);
  if (tool != nullptr && event.has_tool_call_started() && event.tool_call_started().tool() != tool->tool)
    return Misfit(fmt::format("it calls {}, and called {}", tool->tool, event.tool_call_started().tool()));
  const v1::StepResult* result = event.has_step_ended() && !step->for_each ? &event.step_ended().result()
                                 : event.has_element_ended()               ? &event.element_ended().result()
                                                                           : nullptr;
  const bool shaped = result != nullptr && result->status() == v1::STEP_STATUS_SUCCEEDED && result->has_output_json() &&
                      !step->output.is_any();
  if (!shaped) return std::nullopt;
  WEFT_TRY(const auto bytes, contents.bytes(result->output_json()));
  auto value = parse_untrusted(*bytes);
  if (value) value = step->output.validate(*std::move(value), "its recorded output");
  return value ? std::nullopt : Misfit(value.error().message);
}

Status check_fit(const SharedPast& past, const workflows::Workflow& workflow, run::Contents& contents) {
  std::vector<std::pair<std::string, std::string>> misfits;
  for (const v1::Event& event : past.events) {
    if (event.path().empty() || misfits.size() >= kMisfitsMax) continue;
    WEFT_TRY(auto why, misfit(event, workflow, contents));
    const bool said = std::ranges::any_of(misfits, [&](const auto& known) { return known.first == event.path(); });
    if (why && !said) misfits.emplace_back(event.path(), *std::move(why));
  }
  if (misfits.empty()) return {};
  std::string list;
  for (const auto& [path, why] : misfits) list += fmt::format("{}{}: {}", list.empty() ? "" : "; ", path, why);
  Error error = failed_precondition(fmt::format(
      "what the fork would share does not fit the workflow {}: {}; fork from before it", workflow.name, list));
  for (auto& [path, why] : misfits) error = std::move(error).with("misfit", path + ": " + why);
  return error;
}

// A key that a workflow forms itself has no next one: where nothing stands under it, and the fork's call would leave
// under it unasked, somebody has to say what is meant.
Status check_own_keys(const std::vector<v1::Event>& past, const std::vector<v1::Event>& later,
                      const workflows::Workflow& workflow) {
  std::set<std::string> own;  // Paths of calls.
  for (const auto* events : {&past, &later}) {
    for (const v1::Event& event : *events) {
      const std::string call = workflows::call_path(event.path(), event.attempt(), event.turn(), event.call());
      const workflows::Tool* tool = workflow.tool(event.tool_call_started().tool());
      if (tool != nullptr && tool->policy.key && tools::changes_world(tool->policy.effect)) own.insert(call);
      const bool refused = event.tool_call_ended().nothing_done() && events == &later && own.contains(call);
      if (!refused && !(takes_back(event) && own.contains(undone_call(event)))) continue;
      return failed_precondition(fmt::format(
          "the call at {} {} under a key that the workflow forms itself: fork with `--effects ask`, and say with `weft "
          "resolve` what is meant",
          refused ? call : undone_call(event), refused ? "was refused" : "was taken back"));
    }
  }
  return {};
}

// The key generation that each repeated call reached in the source run, for calls whose earlier keys have no effect in
// force.
Result<std::vector<v1::KeyGeneration>> generations_of(const std::vector<v1::Event>& past,
                                                      const std::vector<v1::Event>& later, run::Run& source) {
  for (const auto* events : {&past, &later}) {
    for (const v1::Event& event : *events) WEFT_RETURN_IF_ERROR(source.apply(event));
  }
  return source.generations();
}

// The source's events up to the cut make a state of the fork; FAILED_PRECONDITION where they do not.
Status fold(const SharedPast& past, run::Run& run) {
  for (v1::Event event : past.events) {
    const std::int64_t at_us = event.at_us();
    run::stamp(event, run.last_seq(), run.last_at_us(), run.digest(), at_us, 0);
    const std::string path = event.path();
    if (Status applied = run.apply(event); !applied) {
      return failed_precondition(fmt::format("what happened at {} does not follow in the workflow {}: {}",
                                             path.empty() ? "the run" : path, run.workflow().name,
                                             applied.error().message));
    }
  }
  return {};
}

// A result of a call that was wanted at the cut was paid for, or was done: it is the fork's too.
Status add_results(const std::vector<v1::Event>& later, const std::vector<Point>& points, run::Run& run,
                   SharedPast& past) {
  const auto key_of = [](const v1::Event& event) {
    return run::CallKey{event.path(), event.attempt(), event.turn(), event.call()};
  };
  // A sending of a turn and a call of it may have the same number.
  std::set<run::CallKey> models;
  std::set<run::CallKey> tools;
  for (const v1::Event& event : later) {
    if (event.has_model_call_ended()) models.insert(key_of(event));
    if (event.has_tool_call_ended()) tools.insert(key_of(event));
  }
  std::set<run::CallKey> wanted;
  for (const run::Command& command : run.outstanding()) {
    const auto* model = std::get_if<run::ModelCall>(&command);
    const auto* tool = std::get_if<run::ToolCall>(&command);
    if (model != nullptr) wanted.insert(model->key);
    if (tool != nullptr) wanted.insert(tool->key);
  }
  for (const v1::Event& event : later) {
    const bool begins = event.has_model_call_started() || event.has_tool_call_started();
    const bool ends = event.has_model_call_ended() || event.has_tool_call_ended();
    const auto& answered = event.has_model_call_started() || event.has_model_call_ended() ? models : tools;
    if ((!begins && !ends) || !wanted.contains(key_of(event)) || !answered.contains(key_of(event))) continue;
    const bool anew = std::ranges::any_of(points, [&](const Point& point) { return is_made_anew(point, event); });
    if (anew || !run.expects(event)) continue;
    v1::Event shared = event;
    run::stamp(shared, run.last_seq(), run.last_at_us(), run.digest(), event.at_us(), 0);
    WEFT_RETURN_IF_ERROR(run.apply(shared));
    past.events.push_back(std::move(shared));
    if (ends) wanted.erase(key_of(event));
  }
  return {};
}

}  // namespace

Result<SharedPast> share_past(const memory::Reader& reader, const memory::RunRow& source,
                              const v1::RunsForkRequest& request, const RunDefinition& of_source,
                              const RunDefinition& of_fork) {
  const workflows::Workflow& workflow = *of_fork.workflow;
  SharedPast past;
  WEFT_TRY(past.events, read_events(reader, source.id));
  if (past.events.empty()) return data_loss(fmt::format("run {} has no events", source.id));
  WEFT_TRY(const std::vector<Point> points, read_points(request));
  WEFT_TRY(const std::size_t cut, find_cut(past.events, points, source.id));
  const std::vector<v1::Event> later(past.events.begin() + static_cast<std::ptrdiff_t>(cut), past.events.end());
  past.events.resize(cut);
  past.source_seq = cut;
  past.lineage = past.events.front().run_submitted().identity().lineage();

  ContentStore contents(reader);
  if (workflow.hash != of_source.workflow->hash) WEFT_RETURN_IF_ERROR(check_fit(past, workflow, contents));
  run::Run run(of_fork.workflow, of_fork.tools->table(), contents);
  WEFT_RETURN_IF_ERROR(fold(past, run));
  for (const v1::Event& event : later) {
    const bool shared =
        takes_back(event) && std::ranges::any_of(past.events, [&](const v1::Event& done) {
          return done.has_tool_call_ended() &&
                 workflows::call_path(done.path(), done.attempt(), done.turn(), done.call()) == undone_call(event);
        });
    if (!shared) continue;
    const std::string path = undone_call(event);
    return failed_precondition(
        fmt::format("run {} took back what {} had done, so that is not shared: fork from {} or from before", source.id,
                    path, path.substr(0, path.find_first_of(":~"))));
  }
  const bool unasked = request.effects() == v1::FORK_EFFECTS_ALLOW;
  if (unasked) WEFT_RETURN_IF_ERROR(check_own_keys(past.events, later, workflow));
  run::Run whole(of_source.workflow, of_source.tools->table(), contents);
  auto generations = generations_of(past.events, later, whole);
  // Where somebody is asked, a source that cannot be read here any more is no reason to refuse.
  if (generations) past.generations = *std::move(generations);
  if (!generations && (unasked || run::is_unread(generations.error()))) return std::move(generations).error();
  WEFT_RETURN_IF_ERROR(add_results(later, points, run, past));
  std::set<Digest> named;
  for (const v1::Event& event : past.events) {
    each_blob(event, [&](const v1::Blob& blob, const std::string&) {
      if (const auto digest = digest_of(blob)) named.insert(*digest);
    });
  }
  past.blobs.assign(named.begin(), named.end());
  return past;
}

}  // namespace weft::history
