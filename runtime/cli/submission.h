// What is submitted: a workflow from a file or from the versions that are applied, and its inputs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cli/connect/place.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/context.h"
#include "runtime/cli/grammar/option.h"
#include "workflows/loader.h"

namespace weft::cli {

// How a run is started: what run, submit and fork take.
struct StartValues {
  std::vector<std::string> inputs;  // "k=v", "k=@file", "k=-"
  std::vector<std::string> labels;  // "k=v"
  std::int32_t priority = 0;
  std::string request_id;
  std::string root;                // Empty: the current folder.
  std::optional<std::string> sim;  // Given without a script: empty.
};

void add_start_options(StartValues& values, Options& options);
Option sim_option(StartValues& values);
Option wait_option(bool& wait);

// A workflow that was read and checked, and what a run of it is begun with.
struct Submission {
  std::string name;
  std::shared_ptr<const workflows::Workflow> workflow;  // Null where the server alone knows it.
  v1::Bundle bundle;  // Empty where the workflow is named by a version that is applied.
  std::string hash;   // The version; empty until it is applied.
  v1::RunsSubmitRequest request;
};

// Reads and checks a file; prints its diagnostics. INVALID_ARGUMENT where there are errors.
Result<Submission> read_submission(const Context& context, const Place& place, const std::string& file);
// The last applied version of a name.
Result<Submission> find_submission(const Context& context, const Place& place, Target& target, const std::string& name);
// One that is known by its name alone: a token may submit what it may not read. The server reads its inputs.
Submission unread_submission(const std::string& name);
// The applied version that has this hash; null where this weft cannot load it.
Result<std::shared_ptr<const workflows::Workflow>> find_version(const Context& context, const Place& place,
                                                                Target& target, const std::string& hash);
Status add_inputs(const StartValues& values, Submission& submission);

// Registers the submission's file as a version.
Result<v1::Workflow> apply(Target& target, Submission& submission);
// Applies what is to be applied and submits. The run's id.
Result<v1::RunsSubmitResponse> submit(Target& target, Submission& submission);

}  // namespace weft::cli
