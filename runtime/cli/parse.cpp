// The grammar of the command line. CLI11 is slow to compile, so it is named in this file only.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/bytes.h"
#include "runtime/cli/exit_code.h"
#include "runtime/cli/options.h"
#include "runtime/engine/admin.h"
#include "runtime/engine/line.h"
#include "workflows/diagnostic.h"

namespace weft::cli {
namespace {

constexpr std::string_view kHelp = R"(weft runs graphs of AI agents, durably, and shows everything they did.

start    init [NAME]            a folder with a first workflow
         run FILE               check it, run it to the end, print its output
         submit NAME|FILE       hand it to a server; prints the run's id
look     runs                   list runs
         trace RUN              what a run did: steps, calls, tokens, cost
         events RUN             the same as events, one JSON object a line
         output RUN             what a run returned
         wait RUN...            until they have ended
steer    cancel RUN             calls under way are awaited, effects undone;  kill  waits for nothing
         answer RUN PATH VALUE  answer a question;  signal RUN NAME [JSON]  send it a message
         pause RUN              nothing new starts until  resume
         resolve RUN PATH HOW   settle a call of which it is not known whether it was done
past     retry RUN              begin again what failed; keeps what is done
         fork RUN --from PATH   a new run that shares its past up to there
         replay RUN             run it again from its record, and compare
files    check FILE...          every mistake in one pass
         graph FILE|RUN         draw it
         apply FILE...          register a version;  workflows  lists them
         schedule ACTION        what starts by itself: list, show, pause, resume, trigger
store    db verify              whether everything in it is as it was written
         db backup PATH         a copy, also while an engine runs;  db prune  removes old runs
         stats                  what the engine does now;  drain  takes no more runs
         doctor                 what the machine gives, and what to do about it
serve    serve                  the server
         sim [SCRIPT]           a simulated model provider;  version

weft COMMAND --help says more. RUN is an id, a unique beginning of one, or @latest.
)";

// One subcommand being described: what it fills in is chosen when it was the one named.
class Grammar {
 public:
  Grammar() : app_("weft") {
    app_.set_help_flag("-h,--help", "This text");
    app_.add_flag("--version", version_flag_);
    app_.require_subcommand(0, 1);
    app_.fallthrough();
    add_global(app_);
    add_run();
    add_submit();
    add_serve();
    add_applying();
    add_listing();
    add_reading();
    add_files();
    add_schedule();
    add_care();
  }

  std::variant<Invocation, Answer> parse(int count, const char* const* arguments) {
    for (int i = 1; i < count; ++i) {
      if (!is_utf8(arguments[i]))
        return usage(fmt::format("argument {} is not UTF-8: \"{}\"", i, printable(arguments[i])));
    }
    if (auto answer = refuse_unknown_command(count, arguments)) return *std::move(answer);
    try {
      app_.parse(count, arguments);
    } catch (const CLI::CallForHelp&) {
      return Answer{help_of_named(), "", 0};
    } catch (const CLI::ParseError& fault) {
      return usage(fault.what());
    }
    const auto named = app_.get_subcommands();
    if (version_flag_ && named.empty()) return Invocation{global_, VersionOptions{}};
    if (named.empty()) return Answer{std::string(kHelp), "", 0};
    if (auto fault = read_texts()) return usage(*fault);
    return Invocation{global_, chosen(named.front()->get_name())};
  }

 private:
  Answer usage(const std::string& sentence) const {
    const auto named = app_.get_subcommands();
    const std::string help = named.empty() ? "weft --help lists the commands"
                                           : fmt::format("weft {} --help says more", named.front()->get_name());
    return {"", fmt::format("error: {}\n{}\n", sentence, help), static_cast<int>(Exit::kUsage)};
  }

  std::string help_of_named() {
    const auto named = app_.get_subcommands();
    return named.empty() ? std::string(kHelp) : named.front()->help("weft");
  }

  // CLI11 would take a mistyped command for a value that nobody asked for.
  std::optional<Answer> refuse_unknown_command(int count, const char* const* arguments) {
    for (int i = 1; i < count; ++i) {
      const std::string text = arguments[i];
      if (text == "-o" || text == "--server" || text == "--store" || text == "--config") {
        ++i;
        continue;
      }
      if (text.starts_with('-')) continue;
      if (text == "help") return Answer{std::string(kHelp), "", 0};
      std::vector<std::string> names;
      for (const auto* command : app_.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
      }
      if (std::ranges::find(names, text) != names.end()) return std::nullopt;
      const std::string near = workflows::nearest(text, names);
      return usage(fmt::format("there is no command \"{}\"{}", text,
                               near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
    }
    return std::nullopt;
  }

  void add_global(CLI::App& app) {
    app.add_option("-o", format_, "text, json or ndjson")->check(CLI::IsMember({"text", "json", "ndjson"}));
    app.add_flag("--no-color", global_.no_color, "No colours");
    app.add_option("--server", global_.server, "A server's address: unix:PATH or HOST:PORT");
    app.add_option("--store", global_.store, "The store's file");
    app.add_option("--config", global_.config, "The configuration's file");
  }

  CLI::App* command(const std::string& name, const std::string& does) {
    CLI::App* added = app_.add_subcommand(name, does);
    added->fallthrough();
    added->footer("Everywhere: -o text|json|ndjson, --server ADDR, --store FILE, --config FILE, --no-color");
    return added;
  }

  static void add_start(CLI::App& app, StartOptions& start) {
    app.add_option("-i,--input", start.inputs, "NAME=VALUE, NAME=@FILE, or NAME=- for standard input")
        ->allow_extra_args(false);
    app.add_option("--label", start.labels, "NAME=VALUE")->allow_extra_args(false);
    app.add_option("--priority", start.priority,
                   "From -100 to 100: among runs that wait for their turn a higher one begins first")
        ->check(CLI::Range(-engine::kPriorityMax, engine::kPriorityMax));
    app.add_option("--request-id", start.request_id, "The same id gives the same run")
        ->check([](const std::string& id) { return id.empty() ? "it is empty: leave it out, or say which" : ""; });
    app.add_option("--root", start.root, "The folder that fs.* tools see; the current one otherwise");
  }

  void add_run() {
    CLI::App* app = command("run", "Check a workflow, run it to the end, print its output");
    app->add_option("FILE", run_.file)->required();
    add_start(*app, run_.start);
    // A flag, so that the word behind it is not taken for a script; its value without one is "true".
    sim_option_ =
        app->add_flag("--sim", sim_script_, "Simulated models, no account; --sim=SCRIPT says what they answer");
  }

  void add_submit() {
    CLI::App* app = command("submit", "Hand a workflow to a server; prints the run's id");
    app->add_option("WORKFLOW", submit_.workflow, "A file, or the name of an applied workflow")->required();
    add_start(*app, submit_.start);
    app->add_flag("--wait", submit_.wait, "Follow it to its end; runs it here where no server is");
  }

  void add_serve() {
    CLI::App* app = command("serve", "The server: gRPC and health, until SIGTERM");
    app->add_option("--listen", serve_.listen, "unix:PATH or 127.0.0.1:PORT; 127.0.0.1:7460 otherwise")
        ->allow_extra_args(false);
    app->add_option("--http", serve_.http, "127.0.0.1:PORT; 127.0.0.1:7461 otherwise");
    app->add_option("--root", serve_.root, "The folder that fs.* tools see; none otherwise");
    app->add_flag("--dev", serve_.dev, "Server reflection");
    CLI::App* sim = command("sim", "A simulated model provider, in the OpenAI format");
    sim->add_option("SCRIPT", sim_.script, "What it answers; without one it echoes");
    sim->add_option("--listen", sim_.listen, "127.0.0.1:PORT; picks a port otherwise");
    sim->add_option("--log", sim_.log, "A file that gets each request as a line of JSON");
    command("version", "What this program is");
  }

  void add_applying() {
    CLI::App* app = command("apply", "Register a version of each workflow");
    app->add_option("FILE", apply_.files)->required();
    app = command("init", "A folder with a first workflow, which runs without a key");
    app->add_option("NAME", init_.name, "The folder; hello otherwise");
  }

  void add_listing() {
    CLI::App* app = command("workflows", "List the applied workflows");
    app->add_option("--limit", workflows_.limit, "At most so many; 50 otherwise")->check(CLI::Range(1, 1000));
    app->add_option("--page", workflows_.page, "Go on from there");
    app = command("runs", "List runs, newest first");
    app->add_option("--status", runs_.statuses, "succeeded, running, ...")->allow_extra_args(false);
    app->add_option("--workflow", runs_.workflow);
    app->add_option("--label", runs_.labels, "NAME=VALUE")->allow_extra_args(false);
    app->add_option("--since", since_, "Submitted within: 30m, 1h, 7d");
    app->add_option("--limit", runs_.limit, "At most so many; 50 otherwise")->check(CLI::Range(1, 1000));
    app->add_option("--page", runs_.page, "Go on from there");
  }

  void add_reading() {
    CLI::App* app = command("wait", "Until runs have ended or need somebody");
    app->add_option("RUN", wait_.runs)->required();
    app->add_option("--timeout", timeout_, "At most so long: 30s, 5m");
    app = command("output", "What a run, or a step of it, returned");
    app->add_option("RUN", output_.run)->required();
    app->add_option("--step", output_.step, "The path of a step");
    app = command("trace", "What a run did, as a tree");
    app->add_option("RUN", trace_.run)->required();
    app->add_option("--step", trace_.step, "Only what is beneath this path");
    app->add_flag("--follow,-f", trace_.follow, "As it happens");
    app->add_flag("--full", trace_.full, "Prompts, answers, arguments and results whole");
    app->add_flag("--failed", trace_.failed, "Only what failed");
    app = command("events", "A run's events, one JSON object a line");
    app->add_option("RUN", events_.run)->required();
    app->add_option("--from", events_.from, "From this sequence number on");
    app->add_flag("--follow,-f", events_.follow, "As they happen");
    app = command("cancel", "Cancel a run");
    app->add_option("RUN", cancel_.run)->required();
    app->add_option("--reason", cancel_.reason, "Kept with the run");
    app = command("kill", "Cancel a run at once: nothing is awaited, and nothing undone");
    app->add_option("RUN", cancel_.run)->required();
    app->add_option("--reason", cancel_.reason, "Kept with the run");
    app = command("answer", "Answer a question of a run");
    app->add_option("RUN", answer_.run)->required();
    app->add_option("PATH", answer_.path, "Of the question: sign_off, check[inv-12], reply/draft")->required();
    app->add_option("VALUE", answer_.value, "A choice, a text, or JSON for a form")->required();
    app->add_option("--by", answer_.by, "Who answers; kept with the run");
    app = command("signal", "Send a run a message");
    app->add_option("RUN", signal_.run)->required();
    app->add_option("NAME", signal_.name)->required();
    app->add_option("JSON", signal_.payload, "What it brings; null otherwise");
    app->add_option("--id", signal_.id, "The same id is the same signal");
    app = command("pause", "Start nothing new in a run; what is under way goes on");
    app->add_option("RUN", hold_.run)->required();
    app->add_option("--reason", hold_.reason, "Kept with the run");
    app = command("resume", "Let a paused run go on");
    app->add_option("RUN", hold_.run)->required();
    app->add_option("--reason", hold_.reason, "Kept with the run");
    add_past();
    app = command("resolve", "Say what became of a call that is in doubt");
    app->add_option("RUN", resolve_.run)->required();
    app->add_option("PATH", resolve_.path, "Of the call, or of its step: refund, refund[inv-12], draft:4.2")
        ->required();
    app->add_option("HOW", resolve_.how,
                    "done: it was done; retry: it leaves again; skip: the run goes on without it; unknown: still so")
        ->required()
        ->check(CLI::IsMember({"done", "retry", "skip", "unknown"}));
    app->add_option("--output", resolve_.output, "Its result, as JSON: of done");
    app->add_flag("--new-key", resolve_.new_key,
                  "Nothing was done for certain, so it leaves under a new key: of retry");
    app->add_option("--reason", resolve_.reason, "How that is known; kept with the run")->required();
  }

  void add_past() {
    CLI::App* app = command("retry", "Begin again what failed or was cut off; keeps what is done");
    app->add_option("RUN", retry_.run)->required();
    app->add_option("--reason", retry_.reason, "Kept with the run");
    app = command("fork", "A new run that shares another one's past up to a path; prints its id");
    app->add_option("RUN", fork_.run)->required();
    app->add_option("--from", fork_.from, "Where it goes its own way: reply, refund[inv-12], reply#2/draft, draft:4")
        ->required();
    app->add_option("--rerun", fork_.rerun, "Also made anew, where it began earlier")->allow_extra_args(false);
    app->add_option("--model", fork_.model, "Answers from there on");
    app->add_option("--workflow", fork_.workflow, "Another definition: a file, or the name of an applied workflow");
    app->add_option("--effects", fork_.effects,
                    "Calls that change the world: ask first, allow or refuse; ask otherwise")
        ->check(CLI::IsMember({"ask", "allow", "refuse"}));
    add_start(*app, fork_.start);
    app->add_flag("--wait", fork_.wait, "Follow it to its end; runs it here where no server is");
    fork_sim_ = app->add_flag("--sim", fork_sim_script_, "As of run, where no server is");
    app = command("replay", "Run it again from its record, without network, and compare");
    app->add_option("RUN", replay_.run)->required();
    app->add_flag("--deep", replay_.deep, "Also every content by its hash, and every cost by its price");
  }

  void add_files() {
    CLI::App* app = command("check", "Every mistake of workflow files in one pass");
    app->add_option("FILE", check_.files)->required();
    app->add_flag("--strict", check_.strict, "Warnings are errors");
    app = command("graph", "Draw a workflow, or a run of it");
    app->add_option("WHAT", graph_.what, "A file or a run")->required();
    app->add_option("--format", graph_.format, "tree, mermaid, dot or svg")
        ->check(CLI::IsMember({"tree", "mermaid", "dot", "svg"}));
  }

  void add_schedule() {
    CLI::App* app = command("schedule", "What starts runs by itself: workflows that say `on: {schedule: ...}`");
    app->add_option("ACTION", schedule_.action,
                    "list; show: one, with its next times; pause and resume it; trigger: start a run of it now")
        ->required()
        ->check(CLI::IsMember({"list", "show", "pause", "resume", "trigger"}));
    app->add_option("WORKFLOW", schedule_.workflow, "Its name: of all but list");
    app->add_option("--times", schedule_.times, "show: so many of the next times; 5 otherwise")
        ->check(CLI::Range(1, 100));
    app->add_option("--reason", schedule_.reason, "pause: kept with the schedule");
    app->add_option("--request-id", schedule_.request_id, "trigger: the same id gives the same run");
    app->add_option("--limit", schedule_.limit, "list: at most so many; 50 otherwise")->check(CLI::Range(1, 1000));
    app->add_option("--page", schedule_.page, "list: go on from there");
  }

  void add_care() {
    CLI::App* app = command("db", "The care of a store");
    app->add_option("ACTION", db_.action, "verify, backup or prune")
        ->required()
        ->check(CLI::IsMember({"verify", "backup", "prune"}));
    app->add_option("PATH", db_.path, "backup: where the copy goes");
    app->add_option("--older-than", older_than_,
                    "prune: since they ended, as 7d; the retention of weft.yaml otherwise");
    app->add_option("--workflow", db_.workflow, "prune: only its runs");
    app->add_flag("--dry-run", db_.dry_run, "prune: count, and remove nothing");
    command("stats", "What the engine does now: runs, calls, who waits for what, commits, the store");
    app = command("drain", "Take no more runs; those at work go on, queued ones are there for the next start");
    app->add_option("--wait", drain_wait_, "Until no run is at work, at most so long, as 30s; at most 10m");
    command("doctor", "Measures the disk, the clock and the limits of this machine");
  }

  // What CLI11 knows only as text. The sentence where something is wrong.
  std::optional<std::string> read_texts() {
    if (format_ == "json") global_.format = Format::kJson;
    if (format_ == "ndjson") global_.format = Format::kNdjson;
    if (sim_option_->count() > 0) run_.start.sim = sim_script_ == "true" ? "" : sim_script_;
    if (fork_sim_->count() > 0) fork_.start.sim = fork_sim_script_ == "true" ? "" : fork_sim_script_;
    const auto read = [](const std::string& text, std::optional<Duration>& into) -> std::optional<std::string> {
      if (text.empty()) return std::nullopt;
      const auto duration = parse_duration(text);
      if (!duration) return duration.error().message;
      into = *duration;
      return std::nullopt;
    };
    if (auto fault = read(timeout_, wait_.timeout)) return fault;
    if (auto fault = read(drain_wait_, drain_.wait)) return fault;
    if (drain_.wait && *drain_.wait > engine::kDrainPatienceMax)
      return fmt::format("--wait {}: a drain is waited for at most 10m; ask again after that", drain_wait_);
    if (auto fault = read(older_than_, db_.older_than)) return fault;
    return read(since_, runs_.since);
  }

  Command chosen(const std::string& name) const {
    if (name == "run") return run_;
    if (name == "submit") return submit_;
    if (name == "serve") return serve_;
    if (name == "apply") return apply_;
    if (name == "workflows") return workflows_;
    if (name == "wait") return wait_;
    if (name == "output") return output_;
    if (name == "runs") return runs_;
    if (name == "trace") return trace_;
    if (name == "events") return events_;
    if (name == "check") return check_;
    if (name == "graph") return graph_;
    if (name == "cancel") return cancel_;
    if (name == "db") return db_;
    if (name == "stats") return StatsOptions{};
    if (name == "drain") return drain_;
    if (name == "doctor") return DoctorOptions{};
    if (name == "kill") {
      CancelOptions kill = cancel_;
      kill.kill = true;
      return kill;
    }
    if (name == "resolve") return resolve_;
    if (name == "answer") return answer_;
    if (name == "signal") return signal_;
    if (name == "pause" || name == "resume") {
      HoldOptions hold = hold_;
      hold.resume = name == "resume";
      return hold;
    }
    if (name == "schedule") return schedule_;
    if (name == "retry") return retry_;
    if (name == "fork") return fork_;
    if (name == "replay") return replay_;
    if (name == "sim") return sim_;
    if (name == "init") return init_;
    return VersionOptions{};
  }

  CLI::App app_;
  CLI::Option* sim_option_ = nullptr;
  Global global_;
  std::string format_ = "text";
  std::string sim_script_;
  std::string timeout_;
  std::string since_;
  std::string older_than_;
  std::string drain_wait_;
  bool version_flag_ = false;
  RunOptions run_;
  SubmitOptions submit_;
  ServeOptions serve_;
  ApplyOptions apply_;
  WorkflowsOptions workflows_;
  WaitOptions wait_;
  OutputOptions output_;
  RunsOptions runs_;
  TraceOptions trace_;
  EventsOptions events_;
  CheckOptions check_;
  GraphOptions graph_;
  CancelOptions cancel_;
  DbOptions db_;
  DrainOptions drain_;
  ResolveOptions resolve_;
  AnswerOptions answer_;
  SignalOptions signal_;
  HoldOptions hold_;
  ScheduleOptions schedule_;
  RetryOptions retry_;
  ForkOptions fork_;
  CLI::Option* fork_sim_ = nullptr;
  std::string fork_sim_script_;
  ReplayOptions replay_;
  SimOptions sim_;
  InitOptions init_;
};

}  // namespace

std::variant<Invocation, Answer> parse_arguments(int count, const char* const* arguments) {
  return Grammar().parse(count, arguments);
}

}  // namespace weft::cli
