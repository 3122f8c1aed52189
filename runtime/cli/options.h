// What the command line asks for, one plain struct a command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"
#include "runtime/cli/terminal.h"

namespace weft::cli {

// Options that every command takes.
struct Global {
  Format format = Format::kText;
  bool no_color = false;
  std::string server;
  std::string store;
  std::string config;
};

// A workflow is started: `run` and `submit`.
struct StartOptions {
  std::vector<std::string> inputs;  // "k=v", "k=@file", "k=-"
  std::vector<std::string> labels;  // "k=v"
  std::int32_t priority = 0;
  std::string request_id;
  std::string root;                // Empty: the current folder.
  std::optional<std::string> sim;  // Given without a script: empty.
};

struct RunOptions {
  std::string file;
  StartOptions start;
};
struct SubmitOptions {
  std::string workflow;  // A file, or the name of an applied workflow.
  StartOptions start;
  bool wait = false;
};
struct ServeOptions {
  std::vector<std::string> listen;
  std::string http;
  std::string root;
  bool dev = false;
};
struct ApplyOptions {
  std::vector<std::string> files;
};
struct WorkflowsOptions {
  std::uint32_t limit = 50;
  std::string page;
};
struct WaitOptions {
  std::vector<std::string> runs;
  std::optional<Duration> timeout;
};
struct OutputOptions {
  std::string run;
  std::string step;
};
struct RunsOptions {
  std::vector<std::string> statuses;
  std::string workflow;
  std::vector<std::string> labels;
  std::optional<Duration> since;
  std::uint32_t limit = 50;
  std::string page;
};
struct TraceOptions {
  std::string run;
  std::string step;
  bool follow = false;
  bool full = false;
  bool failed = false;
};
struct EventsOptions {
  std::string run;
  std::uint64_t from = 0;
  bool follow = false;
};
struct CheckOptions {
  std::vector<std::string> files;
  bool strict = false;
};
struct GraphOptions {
  std::string what;             // A file or a run.
  std::string format = "tree";  // tree, mermaid, dot
};
struct CancelOptions {
  std::string run;
  std::string reason;
  bool kill = false;  // The command `kill`.
};
struct ResolveOptions {
  std::string run;
  std::string path;
  std::string how;     // done, retry, skip, unknown
  std::string output;  // JSON; empty: null.
  bool new_key = false;
  std::string reason;
};
struct AnswerOptions {
  std::string run;
  std::string path;
  std::string value;
  std::string by;
};
struct SignalOptions {
  std::string run;
  std::string name;
  std::string payload;
  std::string id;
};
struct HoldOptions {
  std::string run;
  std::string reason;
  bool resume = false;  // The command `resume`; otherwise `pause`.
};
struct ScheduleOptions {
  std::string action;    // list, show, pause, resume, trigger
  std::string workflow;  // Of all but list.
  std::string reason;
  std::string request_id;
  std::uint32_t times = 5;  // Of show.
  std::uint32_t limit = 50;
  std::string page;
};
struct RetryOptions {
  std::string run;
  std::string reason;
};
struct ForkOptions {
  std::string run;
  std::string from;
  std::vector<std::string> rerun;
  std::string model;
  std::string workflow;  // A file, or the name of an applied workflow; empty: the source's own.
  std::string effects = "ask";
  StartOptions start;
  bool wait = false;
};
struct ReplayOptions {
  std::string run;
  bool deep = false;
};
struct SimOptions {
  std::string script;
  std::string listen = "127.0.0.1:0";
  std::string log;
};
struct DbOptions {
  std::string action;  // verify, backup, prune
  std::string path;    // Of a backup.
  std::optional<Duration> older_than;
  std::string workflow;
  bool dry_run = false;
};
struct DoctorOptions {};
struct StatsOptions {};
struct DrainOptions {
  std::optional<Duration> wait;
};
struct InitOptions {
  std::string name = "hello";
};
struct VersionOptions {};

using Command =
    std::variant<RunOptions, SubmitOptions, ServeOptions, ApplyOptions, WorkflowsOptions, WaitOptions, OutputOptions,
                 RunsOptions, TraceOptions, EventsOptions, CheckOptions, GraphOptions, CancelOptions, DbOptions,
                 DoctorOptions, ResolveOptions, AnswerOptions, SignalOptions, HoldOptions, RetryOptions, ForkOptions,
                 ReplayOptions, ScheduleOptions, StatsOptions, DrainOptions, SimOptions, InitOptions, VersionOptions>;

struct Invocation {
  Global global;
  Command command;
};

// What is printed instead where there is nothing to do.
struct Answer {
  std::string out;
  std::string err;
  int exit = 0;
};

// The one place that knows the command line's grammar.
std::variant<Invocation, Answer> parse_arguments(int count, const char* const* arguments);

}  // namespace weft::cli
