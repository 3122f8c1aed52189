// Drives a run without an engine: a clock that is a number, models and tools that are functions, and an order of
// answers that a seed picks. What the journal would hold is a vector.
//
// Each decision is first taken with little to spend, and taken again where that was not enough: it must be the same.
// Beside every run goes one that was restored from a snapshot of it, now and then from a new one: they must not differ.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "runtime/run/run.h"
#include "workflows/loader.h"

namespace weft::run::testing {

class MemoryContents final : public Contents {
 public:
  Result<std::shared_ptr<const std::string>> bytes(const v1::Content& content) override;
  Result<v1::Content> put(std::string bytes) override;
  std::size_t inline_max = kInlineBytesMax;
  bool fails = false;  // Blobs cannot be read.

 private:
  std::map<std::string, std::shared_ptr<const std::string>> blobs_;
};

// The workflow of this YAML, or a failed test that shows the diagnostics.
std::shared_ptr<const workflows::Workflow> workflow(const std::string& yaml);

// Tools that tests may name: t.read (read), t.write (write), t.pure (pure); each takes {x: any?}.
const ToolTable& tool_table();

class Driver {
 public:
  // Answers a model call: ModelCallEnded or ModelCallFailed, without path and numbers.
  using Model = std::function<v1::Event(const ModelCall&)>;
  using Tool = std::function<v1::Event(const ToolCall&)>;

  explicit Driver(std::shared_ptr<const workflows::Workflow> workflow, std::uint64_t seed = 0,
                  const Limits& limits = {});

  Model model;  // Default: answers "ok".
  Tool tool;    // Default: {"done": true}.
  // Answers a question about a call in doubt. Default: it was not done.
  std::function<v1::Event(const VerifyCall&)> verify;
  std::function<void(const v1::Event&)> on_event;
  // Changes a decision before it is recorded: how tests produce outcomes that nothing else produces yet.
  std::function<void(v1::Event&)> rewrite;

  // Before submit(): no content is inline. kUnreadFirst: where an event or a decision needs one, it cannot be read at
  // first.
  enum class Blobs : std::uint8_t { kRead, kUnreadFirst };
  void keep_in_blobs(Blobs blobs) {
    contents_->inline_max = 0;
    unread_first_ = blobs == Blobs::kUnreadFirst;
  }
  std::size_t unread() const { return unread_; }  // How often something could not be read.

  void submit(const std::string& input_json = "{}");
  void cancel();
  void kill();
  void reply(const std::string& path, const std::string& json, const std::string& by = "");
  void signal(const std::string& name, const std::string& json);
  void pause();
  void resume();
  void retry();  // REQUIRES: the run has ended, and may be begun again.
  void pass(Duration time) { now_us_ += time.count(); }
  // Says of the first call in doubt what became of it.
  void resolve(v1::Resolution resolution, const std::string& json = "null");
  // Answers one outstanding command; false where none is left.
  bool step();
  // Lets the first timer of this kind come due, before anything else answers.
  void fire(v1::TimerKind timer);
  // Until the run has ended or nothing is left to answer.
  void finish();

  Run& run() { return *run_; }
  // How the ended run ended.
  const v1::RunEnded& end() const;
  std::size_t lost_calls() const;
  std::size_t left_off() const { return left_off_; }  // Decisions for which the little was not enough.
  const std::vector<v1::Event>& events() const { return events_; }
  const std::vector<Command>& in_flight() const { return in_flight_; }
  // The output of the ended run.
  Json output();
  // The StepEnded of a path; a failed test where there is none or are several.
  v1::StepEnded step_ended(const std::string& path) const;
  std::string status(const std::string& path) const;
  std::size_t count(v1::Event::KindCase kind) const;

  // A new run folded from the first `durable` of the events so far: what a restart makes of it.
  std::unique_ptr<Driver> restarted(std::size_t durable = SIZE_MAX) const;

 private:
  void admit(v1::Event event);
  template <class Act>
  auto once_unread(const Act& act) -> decltype(act());
  std::optional<v1::Event> decide();
  void settle();
  void look_beside();
  void carry_out(const Command& command);

  std::shared_ptr<const workflows::Workflow> workflow_;
  Limits limits_;
  std::shared_ptr<MemoryContents> contents_ = std::make_shared<MemoryContents>();
  std::unique_ptr<Run> run_;
  std::unique_ptr<Run> restored_;  // Null: there was no snapshot yet.
  std::uint32_t settled_ = 0;      // How often.
  bool unread_first_ = false;
  std::size_t unread_ = 0;
  std::uint64_t little_ = 1;
  std::size_t left_off_ = 0;
  std::vector<v1::Event> events_;
  std::vector<Command> in_flight_;
  std::int64_t now_us_ = 1'000'000;
  std::uint64_t random_;
};

v1::Event answer(std::string text);
v1::Event calls(std::vector<std::pair<std::string, std::string>> tools_and_arguments);
v1::Event failure(std::string kind, bool retryable);
v1::Event tool_done(std::string json);
v1::Event tool_failed(std::string sentence);    // Nothing was done.
v1::Event tool_declined(std::string sentence);  // It did not work, which proves nothing.
v1::Event tool_in_doubt(std::string why);
v1::Event verified(v1::Verdict verdict, std::string json = "null");

}  // namespace weft::run::testing
