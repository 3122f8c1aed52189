// W2, the agent loop: a model turn that asks for a tool, the tool, and a model turn that answers, over gRPC, closed
// loop.
//
// w2 --server PROGRAM --scratch FOLDER --model PROGRAM --latency MS --in-flight N --runs N [--begin spread|at-once]
//    [--results FILE]
//
// The model is agent_model in a process of its own, streaming, which waits --latency before it answers. p50 and p99 are
// a run's latency, from before its Submit to the answer of its Wait, without the two waits of its model as they were
// asked for; model_late_ms says by how much more the model really waited, a call, on average. turn_p50 and turn_p99 are
// the time from an answer of the model to the next request of that run, as the model saw it. Runs begin spread over the
// two waits, as they do where they do not all come at the same instant, or at once. --store FILE: the store, kept.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/measured_server.h"
#include "bench/scratch.h"

namespace weft::bench {
namespace {

constexpr std::chrono::seconds kModelPatience{10};
constexpr std::size_t kWarmUpRuns = 100;
constexpr int kModelCalls = 2;

constexpr const char* kWorkflow = R"(weft: 1
name: w2
steps:
  answer:
    system: You are a calculator.
    tools: [bench.add, bench.mul]
    prompt: What is 2+3?
returns: "{{ steps.answer.text }}"
)";

Load load_of(const std::string& hash, std::size_t runs, std::size_t in_flight) {
  return {hash, runs, in_flight, [](std::size_t) { return "{}"; },
          [](std::size_t, const std::string& output) { return output.find("answer is 5") != std::string::npos; }};
}

struct ModelTimes {
  double late_ms = 0;
  double turn_p50 = 0;
  double turn_p99 = 0;
};

// Of the calls since the last time.
Result<ModelTimes> times_of(Process& model) {
  model.signal(SIGUSR2);
  WEFT_TRY(const std::string line, model.await("agent_model: late ", kModelPatience));
  ModelTimes times;
  if (std::sscanf(line.c_str(), "%lf turn %lf %lf", &times.late_ms, &times.turn_p50, &times.turn_p99) != 3) {
    return internal("the model said " + line);
  }
  return times;
}

Status run(const Arguments& arguments) {
  const std::size_t latency_ms = arguments.number("latency", 50);
  const std::size_t runs = arguments.number("runs", 500);
  const std::size_t in_flight = arguments.number("in-flight", 64);
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  WEFT_TRY(Process model, Process::start({arguments.text("model")}));
  WEFT_TRY(const std::string port, model.await("agent_model: port ", kModelPatience));
  WEFT_TRY(MeasuredServer server,
           start_server(arguments, arguments.text("store", scratch.file("weft.db")),
                        {fmt::format("WEFT_MODEL_URL=http://127.0.0.1:{}/lat/{}/v1", port, latency_ms)}));
  WEFT_TRY(const std::string hash, server.client->apply(kWorkflow));
  WEFT_TRY(const Loaded warm, server.client->drive(load_of(hash, kWarmUpRuns, in_flight)));
  const double waits_ms = static_cast<double>(kModelCalls * latency_ms);
  const bool at_once = arguments.text("begin") == "at-once";
  Load load = load_of(hash, runs, in_flight);
  if (!at_once) load.begin_over_ms = waits_ms;
  WEFT_RETURN_IF_ERROR(times_of(model));
  const double model_cpu = model.cpu_seconds();
  WEFT_TRY(Json row, measure(server, load, waits_ms));
  WEFT_TRY(const ModelTimes times, times_of(model));

  Json whole = Json::object();
  whole["engine"] = "weft W2";
  whole["variant"] = fmt::format("FULL{}{}", arguments.text("preload").empty() ? "" : ", sync + 2 ms",
                                 at_once ? ", begun at once" : "");
  whole["latMs"] = latency_ms;
  whole.update(row);
  whole["p50_per_call"] = row["p50"].get<double>() / kModelCalls;
  whole["p99_per_call"] = row["p99"].get<double>() / kModelCalls;
  whole["turn_p50"] = times.turn_p50;
  whole["turn_p99"] = times.turn_p99;
  whole["model_late_ms"] = times.late_ms;
  whole["model_cpu_s"] = model.cpu_seconds() - model_cpu;
  server.process.stop();
  return report(whole, arguments);
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) { return weft::bench::bench_main(count, arguments, weft::bench::run); }
