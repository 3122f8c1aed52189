// Where runs go: the engine that is there or one in this process; and a run followed to its end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/cli/connect/local_engine.h"
#include "runtime/cli/connect/place.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/context.h"
#include "runtime/cli/submission.h"
#include "sim/provider.h"

namespace weft::cli {

// Where runs go. Members end in the reverse of their order.
struct Session {
  std::unique_ptr<sim::Provider> provider;  // Of `--sim`.
  std::unique_ptr<LocalEngine> engine;      // Null: another process's engine was there.
  std::unique_ptr<Target> target;
};

enum class NoEngine : std::uint8_t { kStartOne, kRefuse };
// The engine that is there, else as `no_engine` says. A simulated provider changes the configuration of `place`.
Result<Session> open_session(const Context& context, Place& place, const StartValues& values, NoEngine no_engine);
// FAILED_PRECONDITION where the engine that is there decides what an option would: --sim, or --root for a workflow that
// uses files.
Status fits_session(const Session& session, const StartValues& values, const Submission& submission);

// Follows the run until it has ended, needs somebody, or is interrupted (then nothing is returned).
Result<std::optional<v1::Run>> follow(const Context& context, Target& target, const std::string& run_id);

// Prints the result: the output, or the object of `-o json`; then what is to be known, and the next command.
enum class Show : std::uint8_t { kOutput, kNoOutput };
Exit report(const Context& context, Target& target, const v1::Run& run, Show show);

// While runs that others submitted still work in this process's engine, stays; says so.
void stay_for_others(const Context& context, Session& session);

}  // namespace weft::cli
