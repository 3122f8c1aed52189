// The configuration: weft.yaml, the environment, and the defaults that make both optional.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/admission/policy.h"
#include "runtime/engine/maintenance/crash_loop_guard.h"
#include "runtime/engine/maintenance/retention.h"
#include "runtime/model/catalog.h"
#include "runtime/run/run.h"
#include "tools/tool_threads.h"
#include "workflows/diagnostic.h"

namespace weft::engine {

// Reads one environment variable; nothing where it is not set. A test gives its own.
using Getenv = std::function<std::optional<std::string>(const std::string& name)>;
Getenv system_environment();

struct EngineLimits {
  // Runs at work at once; more are queued. A run that has begun, and goes on after it waited for a person, a signal
  // or a time, is admitted even when the limit is reached.
  std::size_t runs_at_work_max = 20'000;
  std::size_t runs_queued_max = 100'000;  // Submit is refused over it: RESOURCE_EXHAUSTED.
  std::size_t model_calls_max = 11'000;   // In flight; more are queued.
  std::size_t tool_calls_max = 256;       // Of tools that block, in flight; more are queued.
  tools::ThreadLimits tool_threads{};     // That they have.
  std::size_t input_bytes_max = std::size_t{16} << 20;
  std::size_t frozen_bytes_max = std::size_t{256} << 20;  // Of runs that stand still until the store can be written.
  // After so many bytes of events, and four times what the last one had, a run gets its next snapshot.
  std::size_t snapshot_after_bytes = std::size_t{256} << 10;
  // A run that decides for so long beside the loop, and waits for nothing in between, is cancelled; then killed.
  Duration decide_max{600'000'000};
  // What the state of one run may hold in memory; the step that would make it more fails.
  std::size_t run_bytes_max = run::kStateBytesMax;
  // What runs that wait may hold in memory together, about, for a few seconds in case that something comes for them.
  std::size_t idle_bytes_max = std::size_t{64} << 20;
};

// Those within which one run decides.
inline run::Limits run_limits(const EngineLimits& limits) { return {.state_bytes_max = limits.run_bytes_max}; }

struct Config {
  std::string store;                // Empty: found by the rule of the command line.
  std::vector<std::string> listen;  // Empty: the defaults.
  std::optional<std::string> http;
  std::string tools_root;            // `tools.fs.root`; empty: none.
  std::vector<std::string> secrets;  // `policy.secrets`: environment variables that workflows may name.
  model::Catalog catalog = model::Catalog::built_in();
  // WEFT_MODEL_URL: one OpenAI-compatible server that answers for every model.
  std::string model_url;
  std::string model_key;
  std::string model_name;  // WEFT_MODEL; empty: the workflow's own name is sent.
  EngineLimits limits;
  std::string fair_by;  // `limits.fair_by`: the label whose values are the tenants; empty: each workflow is one.
  std::vector<admission::LabelLimits> by_label;  // `limits.by_label`.
  Retention retention;
  std::uint32_t crashes_max = kCrashesMax;  // `limits.crashes_max`; 0: a run is always taken up again.
  Duration drain{30'000'000};               // `limits.drain`: how long runs may go on after SIGTERM.
  bool simulated = false;                   // `model_url` is a simulated provider: priced as what it stands for.
};

// Reads weft.yaml. An unknown key is an error with the nearest known one.
std::optional<Config> read_config(std::string_view yaml, workflows::Diagnostics& diagnostics);
// The part of the configuration that admission needs.
admission::Settings admission_settings(const Config& config);
// Nothing where workflows may name this secret; else the sentence that says so.
std::optional<std::string> refuse_secret(const Config& config, const std::string& name);
// WEFT_MODEL_URL with WEFT_MODEL_KEY and WEFT_MODEL; otherwise WEFT_SIM_URL, a simulated provider in another process
// (`weft sim`), priced as the models it stands for.
void apply_environment(Config& config, const Getenv& environment);

}  // namespace weft::engine
