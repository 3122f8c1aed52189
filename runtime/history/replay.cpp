#include "runtime/history/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/history/content_store.h"
#include "runtime/history/conversations.h"
#include "runtime/history/event_blobs.h"
#include "runtime/history/event_codec.h"
#include "runtime/history/prefixes.h"
#include "runtime/history/run_tools.h"
#include "runtime/history/stored_workflow.h"
#include "runtime/model/catalog.h"
#include "runtime/run/run.h"
#include "workflows/path.h"

namespace weft::history {
namespace {

constexpr std::uint64_t kAskEvery = 256;  // Events between two looks whether somebody still waits.

// Without what was stamped on it: what the core decided.
std::string bare(v1::Event event) {
  event.clear_seq();
  event.clear_at_us();
  event.clear_epoch();
  event.clear_digest();
  return event.SerializeAsString();
}

std::string kind_of(const v1::Event& event) {
  const auto* field = v1::Event::descriptor()->FindFieldByNumber(event.kind_case());
  return field == nullptr ? "nothing" : field->name();
}

model::Usage from_wire(const v1::Usage& wire) {
  model::Usage usage;
  if (wire.has_input_hit()) usage.input_hit = wire.input_hit();
  if (wire.has_input_miss()) usage.input_miss = wire.input_miss();
  if (wire.has_input_write()) usage.input_write = wire.input_write();
  if (wire.has_output()) usage.output = wire.output();
  if (wire.has_reasoning()) usage.reasoning = wire.reasoning();
  return usage;
}

bool is_fork(const memory::RunRow& row) {
  v1::Run summary;
  return summary.ParseFromString(row.summary) && !summary.forked_from().empty();
}

class Replay {
 public:
  Replay(const ReplayWorld& world, memory::RunRow row, RunDefinition definition, bool deep)
      : world_(world),
        row_(std::move(row)),
        workflow_(std::move(definition.workflow)),
        run_tools_(std::move(definition.tools)),
        deep_(deep),
        shared_(is_fork(row_)),
        contents_(world.reader),
        run_(workflow_, run_tools_->table(), contents_, world.limits) {}

  Result<v1::TracesReplayResponse> run() {
    response_.set_run_id(row_.id);
    bool whole = true;
    const auto look = [&](const v1::Event& event) -> Result<bool> {
      WEFT_RETURN_IF_ERROR(look_at_contents(event));
      WEFT_TRY(whole, take(event));
      return whole;
    };
    WEFT_RETURN_IF_ERROR(each_event(row_.last_seq, look));
    // Behind an event that does not fit nothing follows from anything.
    WEFT_TRY(const auto next, whole ? run_.decide() : Result<std::optional<v1::Event>>(std::nullopt));
    if (next) {
      // What is decided and not recorded yet is nobody's difference, unless it has ended.
      if (row_.ended) differs(*next, fmt::format("{} would follow after the recorded end", kind_of(*next)));
    }
    return std::move(response_);
  }

 private:
  // False from `take`: what follows is not compared.
  Status each_event(std::uint64_t last_seq, const OnEvent& take) {
    std::uint64_t asked = 0;  // By `is_over`: it looks now and then.
    return for_each_event(world_.reader, row_.id, 1, [&](const v1::Event& event) -> Result<bool> {
      if (event.seq() > last_seq) return false;
      if (world_.is_over && asked++ % kAskEvery == 0 && world_.is_over())
        return Error{Code::kCancelled, "nobody waits for the replay any more", {}};
      return take(event);
    });
  }

  void differs(const v1::Event& event, std::string what) {
    response_.set_differences_found(response_.differences_found() + 1);
    if (static_cast<std::size_t>(response_.differences_size()) >= kDifferencesMax) return;
    v1::Difference& difference = *response_.add_differences();
    difference.set_seq(event.seq());
    difference.set_path(workflows::call_path(event.path(), event.attempt(), event.turn(), event.call()));
    difference.set_what(std::move(what));
  }

  Result<bool> take(const v1::Event& event) {
    response_.set_events(response_.events() + 1);
    if (event.has_run_forked()) shared_ = false;
    // What a fork shares was decided by its source, perhaps from another input and under another definition.
    if (!shared_ && !event.has_run_forked()) {
      WEFT_RETURN_IF_ERROR(compare_decision(event));
      compare_call(event);
    }
    v1::Event again = event;
    run::stamp(again, run_.last_seq(), run_.last_at_us(), run_.digest(), event.at_us(), event.epoch());
    if (again.digest() != event.digest()) differs(event, "its digest is not that of the events before it and itself");
    Status applied = run_.apply(event);
    if (!applied && run::is_unread(applied.error())) return std::move(applied).error();
    if (!applied) {
      differs(event, applied.error().message);
      return false;
    }
    epoch_ = event.epoch();
    conversations_.apply(event, Conversations::Keep::kAll);
    if (event.has_run_forked()) refold(event.seq());
    if (event.has_run_forked() || event.has_run_retried()) trim();
    while (auto command = run_.next()) {
      if (const auto* call = std::get_if<run::ModelCall>(&*command)) models_[call->key] = call->step;
      if (const auto* call = std::get_if<run::ToolCall>(&*command)) tools_[call->key] = *call;
    }
    return true;
  }

  // Every decision that the core takes now is the one that is recorded. After a restart, what was lost is recorded
  // before the decisions that a crash cut off.
  Status compare_decision(const v1::Event& event) {
    if (event.epoch() != epoch_ && event.seq() > 1) {
      restarting_ = true;
      run_.reseed_agenda();
    }
    WEFT_TRY(const auto decided, run_.decide());
    if (!decided) return {};
    // Of a run that waits for its turn nothing is decided yet, whatever is said to it meanwhile.
    const bool said = event.path().empty() && !event.has_run_ended();
    if (!begun_ && said) return {};
    begun_ = true;
    // What ends or holds a run gets between two of its decisions.
    const bool ends = event.has_cancel_requested() || event.has_run_paused() || event.has_timer_fired();
    if (said && ends) return {};
    response_.set_decisions(response_.decisions() + 1);
    if (bare(*decided) == bare(event)) {
      restarting_ = false;
      return {};
    }
    if (restarting_ && (event.has_model_call_failed() || event.has_tool_call_in_doubt())) return {};
    const bool same_place = decided->path() == event.path() && decided->kind_case() == event.kind_case();
    differs(event, same_place ? fmt::format("{} is recorded otherwise than it is decided now", kind_of(event))
                              : fmt::format("recorded is {}, and decided now {} at \"{}\"", kind_of(event),
                                            kind_of(*decided), decided->path()));
    return {};
  }

  void compare_call(const v1::Event& event) {
    const run::CallKey key{event.path(), event.attempt(), event.turn(), event.call()};
    if (event.has_model_call_started()) {
      started_[event.path()] = event.model_call_started();
      started_at_[event.path()] = Time(Duration(event.at_us()));
      const auto wanted = models_.find(key);
      if (wanted == models_.end()) return differs(event, "a model was called that nothing asked for");
      if (Status same = compare_request(event, wanted->second); !same) differs(event, same.error().message);
    } else if (event.has_tool_call_started()) {
      const auto wanted = tools_.find(key);
      if (wanted == tools_.end()) return differs(event, "a tool was called that nothing asked for");
      response_.set_arguments(response_.arguments() + 1);
      const v1::ToolCallStarted& call = event.tool_call_started();
      const run::ToolCall& now = wanted->second;
      if (call.tool() != now.tool || call.arguments().SerializeAsString() != now.arguments.SerializeAsString()) {
        differs(event, fmt::format("{} was called with other arguments than now", call.tool()));
      } else if (!call.key().empty() && call.key() != now.idempotency_key) {
        differs(event, fmt::format("{} was called under another key than now", call.tool()));
      }
    } else if (deep_ && event.has_model_call_ended()) {
      compare_cost(event);
    }
  }

  Status compare_request(const v1::Event& event, workflows::StepId step) {
    const v1::ModelCallStarted& call = event.model_call_started();
    const std::string name = fmt::format("{}:{}:{}", step, call.provider(), call.wire_model());
    auto& prefix = prefixes_[name];
    if (!prefix) {
      const model::WireFormat format = world_.format(call.provider(), call.model());
      WEFT_TRY(model::Prefix built, build_prefix(*workflow_, step, call.wire_model(), format,
                                                 [this](const std::string& tool) { return run_tools_->find(tool); }));
      prefix = std::make_shared<const model::Prefix>(std::move(built));
    }
    WEFT_TRY(const model::Conversation* conversation, conversations_.at(event.path(), prefix, contents_));
    response_.set_requests(response_.requests() + 1);
    if (view(prefix->digest()) != call.prefix_sha256())
      return internal(fmt::format("the prefix of its request has {} bytes and is not the recorded one of {}",
                                  prefix->bytes()->size(), call.prefix_bytes()));
    if (view(conversation->digest()) != call.request_sha256())
      return internal(fmt::format("the body of its request has {} bytes and is not the recorded one of {}",
                                  conversation->size(), call.request_bytes()));
    return {};
  }

  void compare_cost(const v1::Event& event) {
    const auto started = started_.find(event.path());
    if (started == started_.end() || started->second.price_row().empty()) return;
    const auto price = world_.list_price(started->second.model(), started_at_.at(event.path()));
    if (!price || price->row != started->second.price_row()) return;  // This catalog has another price by now.
    const auto money = model::cost(from_wire(event.model_call_ended().usage()), *price);
    response_.set_costs(response_.costs() + 1);
    if (!money || *money != event.model_call_ended().cost().pico_usd())
      differs(event, fmt::format("its cost is not what {} makes of its usage", price->row));
  }

  // A replay has nothing but what is recorded: where a part of that was removed, it is impossible, and not different.
  Status look_at_contents(const v1::Event& event) {
    Status possible;
    each_blob(event, [&](const v1::Blob& blob, const std::string& field) {
      if (!possible) return;
      const Digest digest = digest_of(blob).value_or(Digest{});
      const auto bytes = world_.reader.blob(digest);
      if (!bytes && bytes.error().code != Code::kNotFound) {
        possible = bytes.error();
      } else if (!bytes) {
        const std::string at = event.path().empty() ? "" : fmt::format(" at \"{}\"", event.path());
        possible = data_loss(
            fmt::format("run {} cannot be replayed: {} of event {} ({}{}) is not in the store any more; `weft db "
                        "verify` names all that is missing",
                        row_.id, field, event.seq(), kind_of(event), at));
      } else if (deep_) {
        response_.set_contents(response_.contents() + 1);
        if (sha256(**bytes) != digest || (*bytes)->size() != blob.size())
          differs(event, fmt::format("the content of {} is not what its name says", field));
      }
    });
    return possible;
  }

  // From here on another model may answer, so that conversations under way begin with other bytes.
  void refold(std::uint64_t last_seq) {
    conversations_ = Conversations();
    const Status folded = each_event(last_seq, [this](const v1::Event& event) {
      conversations_.apply(event, Conversations::Keep::kAll);
      return true;
    });
    if (!folded) conversations_ = Conversations();  // Each request then says what it lacks.
  }

  void trim() {
    conversations_.keep_only(
        [&](const std::string& path, std::uint32_t attempt) { return run_.works({path, attempt, 0, 0}); });
  }

  const ReplayWorld& world_;
  const memory::RunRow row_;
  const std::shared_ptr<const workflows::Workflow> workflow_;
  const std::shared_ptr<const RunTools> run_tools_;
  const bool deep_;
  bool shared_;  // Up to where a fork goes its own way.
  ContentStore contents_;
  run::Run run_;
  Conversations conversations_;
  std::uint64_t epoch_ = 0;
  bool begun_ = false;
  bool restarting_ = false;  // Of what was lost, more may be recorded before the next decision.
  std::map<run::CallKey, workflows::StepId> models_;  // That the core has asked for.
  std::map<run::CallKey, run::ToolCall> tools_;
  std::map<std::string, std::shared_ptr<const model::Prefix>> prefixes_;
  std::map<std::string, v1::ModelCallStarted> started_;  // By path.
  std::map<std::string, Time> started_at_;
  v1::TracesReplayResponse response_;
};

}  // namespace

Result<v1::TracesReplayResponse> replay(const ReplayWorld& world, const v1::TracesReplayRequest& request) {
  WEFT_TRY(memory::RunRow row, world.reader.run(request.run_id()));
  ToolPins pins(world.tools);
  RunDefinition definition;
  WEFT_TRY(definition.tools, pins.recorded(world.reader, row.id));
  std::vector<const tools::ToolSpec*> specs;
  for (const tools::ToolSpec& spec : definition.tools->specs()) specs.push_back(&spec);
  WEFT_TRY(definition.workflow, load_workflow(world.reader, row, specs));
  return Replay(world, std::move(row), std::move(definition), request.deep()).run();
}

}  // namespace weft::history
