// Starting runs: the file checked here, the engine that is there or one in this process, the run followed to its end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/cli/commands.h"
#include "runtime/cli/local_engine.h"
#include "runtime/cli/place.h"
#include "runtime/cli/target.h"
#include "sim/provider.h"
#include "workflows/loader.h"

namespace weft::cli {

// A file that was read, checked, and given its inputs.
struct Submission {
  std::shared_ptr<const workflows::Workflow> workflow;
  v1::Bundle bundle;  // Empty where the workflow is named by a version that is applied.
  std::string hash;   // The version; empty until it is applied.
  v1::RunsSubmitRequest request;
};

// Reads and checks a file; prints its diagnostics. INVALID_ARGUMENT where there are errors.
Result<Submission> read_submission(const Context& context, const Place& place, const std::string& file);
// The last applied version of a name.
Result<Submission> find_submission(const Context& context, const Place& place, Target& target, const std::string& name);
Status add_inputs(const StartOptions& options, Submission& submission);

// Where runs go. Members end in the reverse of their order.
struct Session {
  std::unique_ptr<sim::Provider> provider;  // Of `--sim`.
  std::unique_ptr<LocalEngine> engine;      // Null: another process's engine was there.
  std::unique_ptr<Target> target;
};

enum class NoEngine : std::uint8_t { kStartOne, kRefuse };
// `uses_files`: whether the submission calls fs.*, or is not known yet.
Result<Session> open_session(const Context& context, Place& place, const StartOptions& options, NoEngine no_engine);
bool uses_files(const workflows::Workflow& workflow);
// Where the engine that is there decides what the options would: the sentence that refuses them.
Status fits_session(const Session& session, const StartOptions& options, const workflows::Workflow& workflow);

// Applies what is to be applied and submits. The run's id.
Result<v1::RunsSubmitResponse> submit(Target& target, Submission& submission);

// Follows the run until it has ended, needs somebody, or is interrupted (then nothing is returned).
Result<std::optional<v1::Run>> follow(const Context& context, Target& target, const std::string& run_id);

// Prints the result: the output, or the object of `-o json`; then what is to be known, and the next command.
enum class Show : std::uint8_t { kOutput, kNoOutput };
Exit report(const Context& context, Target& target, const v1::Run& run, Show show);

// While runs that others submitted still work in this process's engine, stays; says so.
void stay_for_others(const Context& context, Session& session);

}  // namespace weft::cli
